import { ApiError } from "../api/http";
import type { Key } from "../i18n/en";
import type { Turn } from "./useConversation";

/** What ends an answer that was stopped elsewhere: in another tab, or with the API. */
const STOPPED = "answer_stopped";

/** What became of an answer, as it is shown: one that was stopped has not failed, wherever that was. */
export function outcomeOf({ state, error }: Pick<Turn, "state" | "error">): Turn["state"] {
  const isStopped = error instanceof ApiError && error.code === STOPPED;
  return state === "failed" && isStopped ? "stopped" : state;
}

/** What is spoken at the end of an answer; of a failed one its alert is. */
export function spokenEnd(turn: Pick<Turn, "state" | "error">): Key | null {
  switch (outcomeOf(turn)) {
    case "done":
      return "answer.done";
    case "stopped":
      return "answer.stopped";
    case "writing":
    case "failed":
      return null;
  }
}
