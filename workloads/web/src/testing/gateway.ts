import { vi } from "vitest";

/** A call that reached the gateway. */
export interface Call {
  /** Method and path, such as `GET /api/me`. */
  what: string;
  headers: Record<string, string>;
  body: unknown;
}

type Answer = () => Response | Promise<Response>;

/** Answers the client's calls until `vi.unstubAllGlobals`: lists that nothing else is said of are empty. */
export class FakeGateway {
  readonly calls: Call[] = [];
  readonly #answers = new Map<string, Answer>();

  constructor() {
    vi.stubGlobal("fetch", (path: string, init: RequestInit = {}) => {
      const what = `${init.method ?? "GET"} ${path.split("?")[0]}`;
      const body: unknown = typeof init.body === "string" ? JSON.parse(init.body) : null;
      this.calls.push({ what, headers: (init.headers ?? {}) as Record<string, string>, body });
      return unlessLeft(Promise.resolve().then(() => this.#answer(what)), init.signal);
    });
  }

  /** How this call is answered from now on. */
  on(what: string, answer: Answer): this {
    this.#answers.set(what, answer);
    return this;
  }

  /** The calls of this kind that came. */
  of(what: string): Call[] {
    return this.calls.filter((call) => call.what === what);
  }

  #answer(what: string): Response | Promise<Response> {
    const empty = { items: [], next_cursor: null, data: [] };
    return this.#answers.get(what)?.() ?? Response.json(empty);
  }
}

/** As a browser's fetch does, it ends with the signal. */
function unlessLeft(answer: Promise<Response>, signal?: AbortSignal | null): Promise<Response> {
  if (!signal) return answer;
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error));
    answer.then(resolve, reject);
  });
}

/** A refusal in the shape of `/v1`. */
export function refusal(status: number, code: string, more: object = {}): Response {
  return Response.json({ error: { code, message: "m", ...more } }, { status });
}

/** An answer that is written while it is read. */
export class FakeStream {
  readonly response: Response;
  /** Whether nobody reads it any more. */
  isLeft = false;
  #told: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor(run: string, conversation: string) {
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#told = controller),
      cancel: () => void (this.isLeft = true),
    });
    this.response = new Response(stream, {
      headers: { "x-lotoai-run-id": run, "x-lotoai-conversation-id": conversation },
    });
  }

  say(text: string): void {
    this.#tell(`data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\n`);
  }

  end(): void {
    this.#tell("data: [DONE]\n\n");
    this.#told?.close();
  }

  #tell(text: string): void {
    this.#told?.enqueue(new TextEncoder().encode(text));
  }
}
