import type { Listener } from "../api/chat";

/** A listener, and whether anything of the answer came to it: from then on the question is stored. */
export function noticing(listener: Listener): { listener: Listener; hasBegun(): boolean } {
  let begun = false;
  return {
    listener: {
      ...listener,
      onExtra: (extra) => {
        begun = true;
        listener.onExtra(extra);
      },
    },
    hasBegun: () => begun,
  };
}

/** What stands in the field once a question failed of which nothing is kept: it, or what is newer. */
export function givenBack(typed: string, sent: string): string {
  return typed.trim() === "" ? sent : typed;
}
