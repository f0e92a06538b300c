import { afterEach, describe, expect, it, vi } from "vitest";
import { ask, type Question } from "./chat";

const RUN = "019aab4e-0000-7000-8000-000000000000";

function event(value: unknown, id?: number): string {
  return (id === undefined ? "" : `id: ${id}\n`) + `data: ${JSON.stringify(value)}\n\n`;
}

function text(content: string, id: number): string {
  return event({ choices: [{ delta: { content } }] }, id);
}

const FIRST = event({ choices: [{ delta: { content: "" } }], lotoai: { run_id: RUN } }, 0);
const LAST = event({ choices: [{ delta: {} }] }) + "data: [DONE]\n\n";

/** A response whose connection is lost after what it says, unless that is whole. */
function answer(body: string): Response {
  let isTold = false;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (!isTold) controller.enqueue(new TextEncoder().encode(body));
      else if (body.endsWith("[DONE]\n\n")) controller.close();
      else controller.error(new TypeError("network error"));
      isTold = true;
    },
  });
  return new Response(stream);
}

function told(answers: (Response | Error)[]) {
  const calls: { path: string; init: RequestInit }[] = [];
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    calls.push({ path, init });
    const next = answers.shift() ?? new Response(null, { status: 204 });
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  });
  return calls;
}

function question(signal = new AbortController().signal): Question {
  return { model: "lotoai", text: "?", conversationId: null, signal };
}

async function heard(asked = question()): Promise<string> {
  let whole = "";
  await ask(asked, { onText: (more) => (whole += more), onExtra: () => undefined });
  return whole;
}

afterEach(() => vi.unstubAllGlobals());

describe("ask", () => {
  it("reads on where a connection was lost", async () => {
    const calls = told([
      answer(FIRST + text("uno ", 4)),
      new TypeError("no network"),
      answer(text("dos ", 8)),
      answer(text("tres", 12) + LAST),
    ]);
    expect(await heard()).toBe("uno dos tres");
    expect(calls.map(({ path }) => path)).toEqual([
      "/v1/chat/completions",
      ...Array(3).fill(`/v1/chat/completions/${RUN}/stream`),
    ]);
    const ids = calls.slice(1).map(({ init }) => (init.headers as Record<string, string>)["last-event-id"]);
    expect(ids).toEqual(["4", "4", "8"]);
  });

  it("does not ask again what it does not know the run of", async () => {
    const calls = told([answer(": heartbeat\n\n")]);
    await expect(heard()).rejects.toMatchObject({ code: "network" });
    expect(calls).toHaveLength(1);
  });

  it("tells why the gateway ended it", async () => {
    told([answer(FIRST + event({ error: { code: "shutting_down", message: "m" } }) + LAST)]);
    await expect(heard()).rejects.toMatchObject({ code: "shutting_down" });
  });

  it("says that an answer is stopped", async () => {
    const stopping = new AbortController();
    const calls = told([answer(FIRST + text("uno", 3))]);
    const asked = ask(question(stopping.signal), {
      onText: () => stopping.abort(),
      onExtra: () => undefined,
    });
    await expect(asked).rejects.toMatchObject({ name: "AbortError" });
    expect(calls.map(({ path }) => path)).toEqual([
      "/v1/chat/completions",
      `/v1/chat/completions/${RUN}/cancel`,
    ]);
  });
});
