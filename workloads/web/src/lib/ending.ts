import { ApiError } from "../api/http";

/** Why a person is not signed in any more: by themselves, in another tab, or the session is over. */
export type Ending = "self" | "elsewhere" | "over";

/** Refusals of a session that there was. Without one the code is `sign_in_required`. */
const OVER: readonly string[] = ["session_expired", "signed_out"];

/** Whether nobody is signed in, as the gateway says. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401;
}

/** Why a page that was just opened shows nobody; null where nobody was signed in. */
export function endingOf(error: unknown): Ending | null {
  return error instanceof ApiError && OVER.includes(error.code) ? "over" : null;
}

/**
 * What is told of two things that were heard. Any call may find out first that the session is over;
 * who knows better why is believed.
 */
export function better(known: Ending | undefined, heard: Ending): Ending {
  return known === undefined || known === "over" ? heard : known;
}
