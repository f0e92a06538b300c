/** The page with keys, sessions and data. */
export const ACCOUNT = "/account";
/** The page with what was used and what is left. */
export const USAGE = "/usage";

/** Where the gateway sends a browser whose sign-in or sign-out failed. */
export const SIGN_IN = "/sign-in";

/** A page over the chat, which stays open behind it. */
export type Overlay = typeof ACCOUNT | typeof USAGE;
const OVERLAYS: readonly Overlay[] = [ACCOUNT, USAGE];

const CONVERSATION = /^\/c\/([0-9a-f-]{36})$/;

/** The page over the chat that a path shows, if it shows one. */
export function overlayIn(path: string): Overlay | null {
  return OVERLAYS.find((overlay) => overlay === path) ?? null;
}

/** The id of the conversation that a path shows, if it shows one. */
export function conversationIn(path: string): string | null {
  return CONVERSATION.exec(path)?.[1] ?? null;
}

export function pathOf(conversation: string | null): string {
  return conversation === null ? "/" : "/c/" + conversation;
}
