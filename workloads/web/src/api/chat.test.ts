import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { awaited } from "../testing/awaited";
import { FakeGateway, FakeStream, refusal } from "../testing/gateway";
import { ask, decide, type Listener, type Question } from "./chat";
import type { Warning } from "./usageTypes";

const RUN = "019aab4e-0000-7000-8000-000000000000";
const KEY = "019aab4e-0000-7000-8000-0000000000ff";

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
  return { model: "lotoai", text: "?", conversationId: null, key: KEY, signal };
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
    const taken = (more: object) => refusal(409, "idempotency_in_progress", more);
    const calls = told([
      new TypeError("no network"),
      taken({}),
      taken({ answer: { run_id: RUN, conversation_id: RUN } }),
      answer(FIRST + text("uno", 3) + LAST),
    ]);
    expect(await heard()).toBe("uno");
    expect(calls.map(({ path }) => path)).toEqual([
      ...Array(3).fill("/v1/chat/completions"),
      `/v1/chat/completions/${RUN}/stream`,
    ]);
    const keys = calls.slice(0, 3).map(({ init }) => (init.headers as Record<string, string>)["idempotency-key"]);
    expect(keys).toEqual(Array(3).fill(KEY));
    // The control: any other refusal is final.
    const others = told([refusal(429, "overloaded")]);
    await expect(heard()).rejects.toMatchObject({ code: "overloaded" });
    expect(others).toHaveLength(1);
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

  it("reads on also where the refusal of that broke off", async () => {
    const broken = new ReadableStream({ pull: (controller) => controller.error(new TypeError()) });
    const calls = told([
      answer(FIRST + text("uno ", 4)),
      new Response(broken, { status: 404 }),
      answer(text("dos", 7) + LAST),
    ]);
    expect(await heard()).toBe("uno dos");
    expect(calls).toHaveLength(3);
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

const ASK = "POST /v1/chat/completions";
const READ_ON = `GET /v1/chat/completions/${RUN}/stream`;
const CANCEL = `POST /v1/chat/completions/${RUN}/cancel`;

/** A response that does not come, as long as the connection is open and dead. */
const never = () => new Promise<Response>(() => undefined);

describe("a connection that is open and dead", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is lost after 30 s, and the answer is read on", async () => {
    const stream = new FakeStream(RUN, RUN);
    const whole = new Response(FIRST + text("uno", 3) + LAST);
    const readOn = [never(), whole];
    const gateway = new FakeGateway().on(ASK, () => stream.response).on(READ_ON, () => readOn.shift()!);
    const asked = heard();
    await vi.advanceTimersByTimeAsync(29_000);
    expect(gateway.of(READ_ON)).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(gateway.of(READ_ON)).toHaveLength(1);
    // The browser may have asked over the same connection.
    await vi.advanceTimersByTimeAsync(31_000);
    expect(await asked).toBe("uno");
    expect(gateway.of(READ_ON)).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is lost where a question does not come back, which is sent again under its key", async () => {
    const answers = [never(), new Response(FIRST + text("uno", 3) + LAST)];
    const gateway = new FakeGateway().on(ASK, () => answers.shift()!);
    const asked = heard();
    await vi.advanceTimersByTimeAsync(31_000);
    expect(await asked).toBe("uno");
    const keys = gateway.of(ASK).map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toEqual([KEY, KEY]);
  });

  it("is lost where a decision does not come back, and neither does what became of it", async () => {
    const gateway = new FakeGateway().on("POST /api/approvals/a", never).on("GET /api/approvals/a", never);
    const ended = vi.fn();
    const { signal } = new AbortController();
    decide({ approval: "a", verdict: { decision: "approve" }, signal }, deaf).then(ended, ended);
    await vi.advanceTimersByTimeAsync(61_000);
    expect(ended).toHaveBeenCalledWith(expect.objectContaining({ code: "network" }));
    expect(gateway.calls).toHaveLength(2);
  });
});

describe("a stop before the answer has begun", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** Asks where it is answered so, and stops at once. */
  function stopped(answers: () => Response | Promise<Response>) {
    const stopping = new AbortController();
    const gateway = new FakeGateway().on(ASK, answers);
    const begun = vi.fn();
    const ended = vi.fn();
    ask(question(stopping.signal), { ...deaf, onBegun: begun }).then(ended, ended);
    stopping.abort();
    return { gateway, begun, ended, reason: stopping.signal.reason as unknown };
  }

  it("waits for its run, which it then ends and which is told", async () => {
    const coming = awaited<Response>();
    const { gateway, begun, ended, reason } = stopped(() => coming.promise);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(ended).not.toHaveBeenCalled();
    const stream = new FakeStream(RUN, "c");
    coming.resolve(stream.response);
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toHaveBeenCalledWith(RUN, "c");
    expect(ended).toHaveBeenCalledWith(reason);
    expect(gateway.calls.map(({ what }) => what)).toEqual([ASK, CANCEL]);
    expect(stream.isLeft).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is over after 10 s where nothing comes, and asks no second time", async () => {
    const { gateway, begun, ended, reason } = stopped(never);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(ended).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toHaveBeenCalledWith(reason);
    expect(begun).not.toHaveBeenCalled();
    expect(gateway.calls.map(({ what }) => what)).toEqual([ASK]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("asks no second time where the connection was lost", async () => {
    const { gateway, ended, reason } = stopped(() => Promise.reject(new TypeError("no network")));
    await vi.advanceTimersByTimeAsync(0);
    expect(ended).toHaveBeenCalledWith(reason);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(gateway.calls).toHaveLength(1);
  });

  it("tells of a refusal, which keeps nothing", async () => {
    const { begun, ended } = stopped(() => refusal(429, "overloaded"));
    await vi.advanceTimersByTimeAsync(0);
    expect(ended).toHaveBeenCalledWith(expect.objectContaining({ code: "overloaded" }));
    expect(begun).not.toHaveBeenCalled();
  });

  it("does the same for the rest of an answer after a decision", async () => {
    const stopping = new AbortController();
    const coming = awaited<Response>();
    const gateway = new FakeGateway().on("POST /api/approvals/a", () => coming.promise);
    const ended = vi.fn();
    const verdict = { decision: "approve" } as const;
    decide({ approval: "a", verdict, signal: stopping.signal }, deaf).then(ended, ended);
    stopping.abort();
    coming.resolve(new FakeStream(RUN, "c").response);
    await vi.advanceTimersByTimeAsync(0);
    expect(ended).toHaveBeenCalledWith(stopping.signal.reason);
    expect(gateway.of(CANCEL)).toHaveLength(1);
  });
});
