import { ApiError, request, toApiError } from "./http";
import { sseData } from "./sse";
import type { Extra } from "./types";

export interface Question {
  model: string;
  text: string;
  conversationId: string | null;
  signal: AbortSignal;
}

/** What the caller hears while an answer is written. */
export interface Listener {
  onText(text: string): void;
  onExtra(extra: Extra): void;
}

interface Chunk {
  choices?: { delta?: { content?: string } }[];
  lotoai?: Extra;
  error?: unknown;
}

/**
 * Asks and streams the answer. Resolves at its end; rejects with {@link ApiError} when there is
 * none, or with an AbortError when the caller stopped it.
 */
export async function ask(question: Question, listener: Listener): Promise<void> {
  const response = await request("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    signal: question.signal,
    body: JSON.stringify({
      model: question.model,
      stream: true,
      messages: [{ role: "user", content: question.text }],
      ...(question.conversationId
        ? { metadata: { conversation_id: question.conversationId } }
        : {}),
    }),
  });
  if (!response.body) throw new ApiError(0, "network", "no answer");
  try {
    for await (const data of sseData(response.body)) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data) as Chunk;
      if (chunk.error) throw toApiError(200, data);
      if (chunk.lotoai) listener.onExtra(chunk.lotoai);
      const text = chunk.choices?.[0]?.delta?.content;
      if (text) listener.onText(text);
    }
  } catch (cause) {
    if (question.signal.aborted || cause instanceof ApiError) throw cause;
    throw new ApiError(0, "network", "the answer broke off");
  }
  throw new ApiError(0, "answer_incomplete", "the answer broke off");
}
