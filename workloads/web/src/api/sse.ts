/** An event: its data, and its id where it has one of its own. */
export interface SseEvent {
  data: string;
  id?: string;
}

/**
 * Milliseconds without a byte after which a connection is lost, whatever it looks like: the gateway
 * says something every 10 s.
 */
export const SILENCE = 30_000;

/**
 * Splits a byte stream of server-sent events into its events. Comments (the gateway's heartbeats)
 * are passed over; an event may arrive in any number of pieces. Throws where the stream breaks off
 * or falls silent, and the reason of `signal` once that is aborted.
 */
export async function* sseEvents(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<SseEvent> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  let id: string | undefined;
  try {
    for (;;) {
      const { done, value } = await soon(reader.read(), signal);
      rest += decoder.decode(value, { stream: !done });
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = done ? "" : (lines.pop() ?? "");
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield { data: data.join("\n"), ...(id === undefined ? {} : { id }) };
          data = [];
          id = undefined;
        } else if (line.startsWith("id:")) {
          id = line.slice(3).trim();
        } else if (line.startsWith("data:")) {
          data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
        }
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Waits for a read, but neither beyond the silence nor once nobody wants it any more. */
function soon<T>(reading: Promise<T>, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const left = () => reject(signal?.reason as Error);
    const timer = setTimeout(() => reject(new Error("the stream fell silent")), SILENCE);
    if (signal?.aborted) left();
    signal?.addEventListener("abort", left);
    void reading.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", left);
    });
  });
}
