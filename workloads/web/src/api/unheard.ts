import { ApiError } from "./http";

/** What is said while the question, which did arrive, is being taken. */
const IN_PROGRESS = "idempotency_in_progress";

/** A question, as far as the gateway tells it from another one. */
export interface Asked {
  model: string;
  text: string;
  conversationId: string | null;
}

/** A question of which nothing came back: it may have arrived, under this key. */
export interface Unheard extends Asked {
  key: string;
}

/** Whether what was sent may have arrived, although it failed so or was left: it was not refused. */
export function mayHaveArrived(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status === 0 || error.code === IN_PROGRESS;
}

/**
 * The `Idempotency-Key` to send a question under: the one that it had, where it is sent again after
 * nothing came back. So it is answered once, and its answer found if there is one.
 */
export function keyFor(unheard: Unheard | null, asked: Asked): string {
  const isAgain =
    unheard !== null &&
    unheard.model === asked.model &&
    unheard.text === asked.text &&
    unheard.conversationId === asked.conversationId;
  return isAgain ? unheard.key : crypto.randomUUID();
}
