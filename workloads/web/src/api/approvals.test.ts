import { afterEach, describe, expect, it, vi } from "vitest";
import { approvals } from "./approvals";
import { decide, type Listener } from "./chat";

const RUN = "019aab4e-0000-7000-8000-000000000000";
const deaf: Listener = {
  onBegun: () => undefined,
  onText: () => undefined,
  onExtra: () => undefined,
  onWarnings: () => undefined,
};

function told(...answers: (Response | Error)[]) {
  const calls: { path: string; init: RequestInit }[] = [];
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    calls.push({ path, init });
    const next = answers.shift() ?? new Response(null, { status: 204 });
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  });
  return calls;
}

/** A response whose connection is lost after what it says, unless that is whole. */
function stream(body: string): Response {
  let isTold = false;
  return new Response(
    new ReadableStream<Uint8Array>({
      pull(controller) {
        if (!isTold) controller.enqueue(new TextEncoder().encode(body));
        else if (body.endsWith("[DONE]\n\n")) controller.close();
        else controller.error(new TypeError("network error"));
        isTold = true;
      },
    }),
  );
}

const data = (value: unknown, head = "") => `${head}data: ${JSON.stringify(value)}\n\n`;
const text = (content: string, id: number) =>
  data({ choices: [{ delta: { content } }] }, `id: ${id}\n`);
const FIRST = data({ choices: [{ delta: {} }], lotoai: { run_id: RUN, approvals: [] } }, "id: 0\n");
const request = { id: "a", tool: "send", arguments: {}, description: "", expires_at: "" };

afterEach(() => vi.unstubAllGlobals());

describe("approvals", () => {
  it("are listed page by page, and found one by one", async () => {
    const calls = told(Response.json({ items: [], next_cursor: null }), Response.json(request));
    await approvals.pending("a+b/c=");
    await approvals.one("../me");
    expect(calls.map(({ path }) => path)).toEqual([
      "/api/approvals?state=pending&limit=50&cursor=a%2Bb%2Fc%3D",
      "/api/approvals/..%2Fme",
    ]);
  });
});

describe("decide", () => {
  const decided = (listener: Partial<Listener> = {}) => {
    const verdict = { decision: "approve", reason: "fine" } as const;
    const signal = new AbortController().signal;
    return decide({ approval: "a b", verdict, signal }, { ...deaf, ...listener });
  };

  it("sends the decision and hears the rest of the answer, over a lost connection too", async () => {
    const last = data({ choices: [{ delta: {} }], lotoai: { run_id: RUN, approvals: [request] } });
    const asks = data(request, "event: approval_request\n");
    const calls = told(
      stream(FIRST + text("uno ", 4)),
      stream(text("dos", 7) + asks + last + "data: [DONE]\n\n"),
    );
    let whole = "";
    let asked: unknown = null;
    await decided({
      onText: (more) => (whole += more),
      onExtra: (extra) => (asked = extra.approvals),
    });
    expect(whole).toBe("uno dos");
    expect(asked).toEqual([request]);
    expect(calls.map(({ path }) => path)).toEqual([
      "/api/approvals/a%20b",
      `/v1/chat/completions/${RUN}/stream`,
    ]);
    expect(JSON.parse(String(calls[0]?.init.body))).toEqual({
      decision: "approve",
      reason: "fine",
      stream: true,
    });
  });

  it("says why nothing was decided, and does not try again by itself", async () => {
    const problem = { title: "Conflict", status: 409, code: "approval_decided", detail: "d" };
    const calls = told(Response.json(problem, { status: 409 }));
    await expect(decided()).rejects.toMatchObject({ status: 409, code: "approval_decided" });
    expect(calls).toHaveLength(1);
  });

  it("finds its answer where the decision arrived and nothing came back", async () => {
    const known = { ...request, state: "approved", answer_run_id: RUN };
    const lost = new TypeError("no network");
    const calls = told(lost, Response.json(known), stream(FIRST + text("uno", 3) + "data: [DONE]\n\n"));
    let whole = "";
    await decided({ onText: (more) => (whole += more) });
    expect(whole).toBe("uno");
    expect(calls.map(({ path, init }) => [init.method ?? "GET", path])).toEqual([
      ["POST", "/api/approvals/a%20b"],
      ["GET", "/api/approvals/a%20b"],
      ["GET", `/v1/chat/completions/${RUN}/stream`],
    ]);
  });

  it("keeps the run that it found its answer by, also when that is lost before its first event", async () => {
    const known = { ...request, state: "approved", answer_run_id: RUN };
    const calls = told(
      new TypeError("no network"),
      Response.json(known),
      stream(": heartbeat\n\n"),
      stream(FIRST + text("uno", 3) + "data: [DONE]\n\n"),
    );
    const begun: string[] = [];
    let whole = "";
    await decided({
      onBegun: (run) => void begun.push(run),
      onText: (more) => (whole += more),
    });
    expect(whole).toBe("uno");
    expect(begun).toEqual([RUN]);
    expect(calls.map(({ path }) => path).slice(2)).toEqual(
      Array(2).fill(`/v1/chat/completions/${RUN}/stream`),
    );
  });

  it("decides nothing a second time where it did not arrive", async () => {
    for (const known of [{ state: "pending", answer_run_id: null }, { state: "pending", answer_run_id: RUN }]) {
      const calls = told(new TypeError("no network"), Response.json({ ...request, ...known }));
      await expect(decided()).rejects.toMatchObject({ code: "network" });
      expect(calls).toHaveLength(2);
    }
  });
});
