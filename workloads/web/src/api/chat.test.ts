import { afterEach, describe, expect, it, vi } from "vitest";
import { ask, type Listener, type Question } from "./chat";
import type { Warning } from "./usageTypes";

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

/** Hears nothing. */
const deaf: Listener = {
  onBegun: () => undefined,
  onText: () => undefined,
  onExtra: () => undefined,
  onWarnings: () => undefined,
};

async function heard(asked = question()): Promise<string> {
  let whole = "";
  await ask(asked, { ...deaf, onText: (more) => (whole += more) });
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

  it("reads on by the run that a response names before its first event", async () => {
    const begun = answer(": heartbeat\n\n");
    begun.headers.set("x-lotoai-run-id", RUN);
    const calls = told([begun, answer(FIRST + text("uno", 3) + LAST)]);
    expect(await heard()).toBe("uno");
    expect(calls.map(({ path }) => path)).toEqual([
      "/v1/chat/completions",
      `/v1/chat/completions/${RUN}/stream`,
    ]);
  });

  it("asks again under the same key where nothing came back, and finds its answer", async () => {
    const refusal = (more: object) =>
      Response.json(
        { error: { code: "idempotency_in_progress", message: "m", ...more } },
        { status: 409 },
      );
    const calls = told([
      new TypeError("no network"),
      refusal({}),
      refusal({ answer: { run_id: RUN, conversation_id: RUN } }),
      answer(FIRST + text("uno", 3) + LAST),
    ]);
    expect(await heard()).toBe("uno");
    expect(calls.map(({ path }) => path)).toEqual([
      ...Array(3).fill("/v1/chat/completions"),
      `/v1/chat/completions/${RUN}/stream`,
    ]);
    const keys = calls.slice(0, 3).map(({ init }) => (init.headers as Record<string, string>)["idempotency-key"]);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    // The control: the next question has a key of its own, and a refusal of it is final.
    const others = told([refusal({})]);
    await expect(heard()).rejects.toMatchObject({ code: "idempotency_in_progress" });
    expect(others).toHaveLength(1);
    expect((others[0]!.init.headers as Record<string, string>)["idempotency-key"]).not.toBe(keys[0]);
  });

  const pickedUp = () =>
    Response.json(
      {
        error: {
          code: "idempotency_in_progress",
          message: "m",
          answer: { run_id: RUN, conversation_id: RUN },
        },
      },
      { status: 409 },
    );

  it("keeps the run by which it was picked up, also when that is lost before its first event", async () => {
    const calls = told([
      pickedUp(),
      answer(": heartbeat\n\n"),
      new TypeError("no network"),
      answer(FIRST + text("uno", 3) + LAST),
    ]);
    expect(await heard()).toBe("uno");
    expect(calls.map(({ path }) => path)).toEqual([
      "/v1/chat/completions",
      ...Array(3).fill(`/v1/chat/completions/${RUN}/stream`),
    ]);
  });

  it("says that an answer is stopped that was picked up and has said nothing yet", async () => {
    const stopping = new AbortController();
    const calls = told([pickedUp()]);
    const asked = ask(question(stopping.signal), { ...deaf, onBegun: () => stopping.abort() });
    await expect(asked).rejects.toMatchObject({ name: "AbortError" });
    expect(calls.map(({ path }) => path)).toEqual([
      "/v1/chat/completions",
      `/v1/chat/completions/${RUN}/cancel`,
    ]);
  });

  it("says in which conversation a question is stored of which nothing but a failure comes", async () => {
    const conversation = "019aab4e-0000-7000-8000-00000000000c";
    const failed = () => answer(event({ error: { code: "shutting_down", message: "m" } }));
    const named = failed();
    named.headers.set("x-lotoai-run-id", RUN);
    named.headers.set("x-lotoai-conversation-id", conversation);
    const known = Response.json(
      {
        error: {
          code: "idempotency_in_progress",
          message: "m",
          answer: { run_id: RUN, conversation_id: conversation },
        },
      },
      { status: 409 },
    );
    // A replica that does not name it in a header.
    const older = failed();
    older.headers.set("x-lotoai-run-id", RUN);
    for (const [answers, expected] of [
      [[named], conversation],
      [[known, failed()], conversation],
      [[older], null],
    ] as const) {
      told([...answers]);
      const begun: (string | null)[][] = [];
      const listener = { ...deaf, onBegun: (...all: [string, string | null]) => void begun.push(all) };
      await expect(ask(question(), listener)).rejects.toMatchObject({ code: "shutting_down" });
      expect(begun).toEqual([[RUN, expected]]);
    }
  });

  it("says once that an answer was begun, whatever tells it first", async () => {
    const named = answer(FIRST + LAST);
    named.headers.set("x-lotoai-run-id", RUN);
    for (const answers of [
      [named],
      // A replica that does not name it in a header.
      [answer(FIRST + text("uno", 3)), answer(FIRST + LAST)],
      [pickedUp(), answer(FIRST + LAST)],
    ]) {
      told(answers);
      const begun: string[] = [];
      await ask(question(), { ...deaf, onBegun: (run) => void begun.push(run) });
      expect(begun).toEqual([RUN]);
    }
  });

  it("tells why the gateway ended it", async () => {
    told([answer(FIRST + event({ error: { code: "shutting_down", message: "m" } }) + LAST)]);
    await expect(heard()).rejects.toMatchObject({ code: "shutting_down" });
  });

  it("tells that its session is over as any other call does", async () => {
    told([answer(FIRST + event({ error: { code: "signed_out", message: "m" } }) + LAST)]);
    await expect(heard()).rejects.toMatchObject({ code: "signed_out", status: 401 });
    // Who lost a group is still signed in.
    told([answer(FIRST + event({ error: { code: "rights_changed", message: "m" } }) + LAST)]);
    await expect(heard()).rejects.toMatchObject({ code: "rights_changed", status: 200 });
  });

  it("says that an answer is stopped", async () => {
    const stopping = new AbortController();
    const calls = told([answer(FIRST + text("uno", 3))]);
    const asked = ask(question(stopping.signal), { ...deaf, onText: () => stopping.abort() });
    await expect(asked).rejects.toMatchObject({ name: "AbortError" });
    expect(calls.map(({ path }) => path)).toEqual([
      "/v1/chat/completions",
      `/v1/chat/completions/${RUN}/cancel`,
    ]);
  });

  it("hears of budgets that are nearly used up, and of those that stop it", async () => {
    const warned = answer(FIRST + LAST);
    warned.headers.set("x-lotoai-budget-warning", "day; requests=90%; resets=2026-11-27T00:00:00Z");
    const budget = { name: "day", kind: "requests", limit: 10, used: 10, needed: 1 };
    const error = { code: "budget_exceeded", message: "budget \"day\" is used up", budget };
    told([warned, Response.json({ error }, { status: 429 })]);
    const warnings: Warning[] = [];
    const listener = { ...deaf, onWarnings: (all: Warning[]) => void warnings.push(...all) };
    await ask(question(), listener);
    expect(warnings).toMatchObject([{ name: "day", kind: "requests", percent: 90 }]);
    await expect(ask(question(), listener)).rejects.toMatchObject({
      status: 429,
      code: "budget_exceeded",
      budget,
    });
    expect(warnings).toHaveLength(1);
  });
});
