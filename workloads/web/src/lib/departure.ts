import { conversationIn, overlayIn } from "./place";

/** Where a tab keeps it. */
const STORED = "lotoai.departure";

/** What is used of a tab's storage. */
type Kept = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** A tab's storage; null where the browser gives none. */
function ofTab(): Kept | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

/**
 * The page from which this tab went to sign in, for a sign-in that fails: its address tells of the
 * failure alone. What is no page of ours is the beginning, whoever wrote it.
 */
export const departure = {
  keep(path: string, storage = ofTab()): void {
    try {
      storage?.setItem(STORED, path);
    } catch {
      // Without room the person comes back to the beginning.
    }
  },
  read(storage = ofTab()): string {
    const path = storage?.getItem(STORED) ?? "/";
    return overlayIn(path) !== null || conversationIn(path) !== null ? path : "/";
  },
  forget(storage = ofTab()): void {
    storage?.removeItem(STORED);
  },
};
