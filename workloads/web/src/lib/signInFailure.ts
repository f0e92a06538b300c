import type { Key } from "../i18n/en";
import { isKey } from "../i18n/dictionary";
import { SIGN_IN } from "./place";

/** Why a sign-in or sign-out failed, as the gateway said when it sent the browser here. */
export interface SignInFailure {
  /** The sentence about it. */
  text: Key;
  /** The request in the gateway's log; null where none is known. */
  request: string | null;
}

/** What the gateway gives its requests as an id, and takes as one from a proxy. */
const REQUEST_ID = /^[A-Za-z0-9_.:-]{1,128}$/;

/**
 * What an address says of a failure; null where it says nothing. Anybody can make such an address,
 * so nothing of it is shown but a request's id: its reason only chooses among our sentences.
 */
export function failureIn(path: string, search: string): SignInFailure | null {
  const query = new URLSearchParams(search);
  const reason = query.get("reason");
  if (path !== SIGN_IN || reason === null) return null;
  const request = query.get("request");
  return { text: sentence(reason), request: request && REQUEST_ID.test(request) ? request : null };
}

function sentence(reason: string): Key {
  // Whatever is wrong with the issuer's token, there is the same to be done.
  const key = "signIn.failed." + (reason.startsWith("token_") ? "token" : reason);
  return isKey(key) ? key : "signIn.failed.other";
}
