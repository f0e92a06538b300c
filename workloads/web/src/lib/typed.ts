import type { Listener } from "../api/chat";

/** A listener, and whether it heard that the answer was begun: from then on the question is stored. */
export function noticing(listener: Listener): { listener: Listener; hasBegun(): boolean } {
  let begun = false;
  return {
    listener: {
      ...listener,
      onBegun: (run, conversation) => {
        begun = true;
        listener.onBegun(run, conversation);
      },
    },
    hasBegun: () => begun,
  };
}

/** What stands in the field once a question failed of which nothing is kept: it, or what is newer. */
export function givenBack(typed: string, sent: string): string {
  return typed.trim() === "" ? sent : typed;
}
