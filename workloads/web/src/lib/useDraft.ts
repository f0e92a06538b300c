import { useSyncExternalStore } from "react";
import type { Draft } from "./draft";

/** The text of a draft. Only who uses it is shown anew with each letter. */
export function useDraft({ subscribe, read }: Draft): string {
  return useSyncExternalStore(subscribe, read, read);
}
