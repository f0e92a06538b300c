/** The path of the page with keys, sessions and data. */
export const ACCOUNT = "/account";

const CONVERSATION = /^\/c\/([0-9a-f-]{36})$/;

export function isAccount(path: string): boolean {
  return path === ACCOUNT;
}

/** The id of the conversation that a path shows, if it shows one. */
export function conversationIn(path: string): string | null {
  return CONVERSATION.exec(path)?.[1] ?? null;
}

export function pathOf(conversation: string | null): string {
  return conversation === null ? "/" : "/c/" + conversation;
}
