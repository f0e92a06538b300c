import { afterEach, describe, expect, it, vi } from "vitest";
import { ask, type Listener } from "../api/chat";
import { givenBack, noticing } from "./typed";

const quiet: Listener = {
  onBegun: () => undefined,
  onText: () => undefined,
  onExtra: () => undefined,
  onWarnings: () => undefined,
};

afterEach(() => vi.unstubAllGlobals());

/** Asks where this is answered; whether it failed, and whether anything came before that. */
async function asked(response: Response) {
  vi.stubGlobal("fetch", async () => response);
  const { listener, hasBegun } = noticing(quiet);
  const { signal } = new AbortController();
  const question = { model: "m", text: "?", conversationId: null, key: "k", signal };
  const failed = await ask(question, listener).then(
    () => false,
    () => true,
  );
  return { failed, begun: hasBegun() };
}

describe("a question that failed", () => {
  const error = { error: { code: "overloaded", message: "too much" } };

  it("is nowhere when its response was a failure", async () => {
    const response = Response.json(error, { status: 429 });
    expect(await asked(response)).toEqual({ failed: true, begun: false });
  });

  it("is stored once its response names a run, though a failure is all that comes", async () => {
    const body = `data: ${JSON.stringify(error)}\n\n`;
    const headers = { "x-lotoai-run-id": "r" };
    expect(await asked(new Response(body, { headers }))).toEqual({ failed: true, begun: true });
    // The control: of one that names none, nothing is known.
    expect(await asked(new Response(body))).toEqual({ failed: true, begun: false });
  });

  it("is stored once its answer has begun", async () => {
    const lotoai = { run_id: "r", conversation_id: "c", citations: [], tool_calls: [], approvals: [] };
    const chunks = [{ lotoai, choices: [] }, error];
    const body = chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("");
    expect(await asked(new Response(body))).toEqual({ failed: true, begun: true });
  });
});

describe("what was typed", () => {
  it("is given back, unless there is something newer", () => {
    expect(givenBack("", "How many?")).toBe("How many?");
    expect(givenBack(" \n", "How many?")).toBe("How many?");
    expect(givenBack("And", "How many?")).toBe("And");
  });
});
