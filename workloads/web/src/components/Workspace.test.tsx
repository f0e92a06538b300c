import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StoredMessage } from "../api/types";
import { newDraft } from "../lib/draft";
import { awaited } from "../testing/awaited";
import { FakeGateway, FakeStream, refusal } from "../testing/gateway";
import { FakePage } from "../testing/page";
import { Workspace } from "./Workspace";

// What they show has nothing to do with what is said here.
vi.mock("./Documents", () => ({ Documents: () => null }));

const RUN = "019aab4e-0000-7000-8000-000000000000";
const CONVERSATION = "019aab4e-0000-7000-8000-00000000000c";
const OTHER = "019aab4e-0000-7000-8000-00000000000d";
const ASK = "POST /v1/chat/completions";
const CANCEL = `POST /v1/chat/completions/${RUN}/cancel`;
const MESSAGES = `GET /api/conversations/${CONVERSATION}/messages`;

const me = { subject: "ana", name: "Ana", groups: [], admin: false };
const said = (content: string): Response => {
  const message: StoredMessage = {
    id: "m",
    run_id: "r",
    role: "assistant",
    content,
    outcome: "ok",
    decision: null,
    citations: [],
    tool_calls: [],
    approvals: [],
  };
  return Response.json({ items: [message], next_cursor: null });
};

let page: FakePage;
let gateway: FakeGateway;
const onSignedOut = vi.fn();

async function open(path = "/", language = "en"): Promise<void> {
  page = new FakePage(path, language);
  await page.mount(
    <Workspace me={me} draft={newDraft()} onSignedOut={onSignedOut} onErased={() => undefined} />,
  );
}

async function ask(text: string): Promise<void> {
  await page.write("question", text);
  await page.click("send");
}

/** Another conversation is opened by the way back through the history. */
async function goTo(path: string): Promise<void> {
  await page.after(() => {
    page.window.location.pathname = path;
    page.window.tell(new Event("popstate"));
  });
}

beforeEach(() => {
  vi.clearAllMocks();
  gateway = new FakeGateway();
});
afterEach(async () => {
  await page.unmount();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a conversation whose messages are on their way", () => {
  it("takes no question before they are there", async () => {
    const messages = awaited<Response>();
    gateway.on(MESSAGES, () => messages.promise).on(ASK, () => new FakeStream(RUN, CONVERSATION).response);
    await open("/c/" + CONVERSATION);
    expect(page.text).toContain("Loading…");
    expect(page.text).not.toContain("Upload a document and ask about it");
    await page.write("question", "How many?");
    await page.press("question", "Enter");
    expect(gateway.of(ASK)).toHaveLength(0);
    expect(page.get("question").value).toBe("How many?");
    await page.after(() => messages.resolve(said("Three.")));
    expect(page.text).not.toContain("Loading…");
    await page.press("question", "Enter");
    expect(page.text).toMatch(/Three\..*How many\?/);
    expect(gateway.of(ASK)[0]?.body).toMatchObject({ metadata: { conversation_id: CONVERSATION } });
  });

  it("says why they could not be read, before anything else, and reads them again", async () => {
    const answers = [refusal(503, "storage_unavailable"), said("Three.")];
    gateway.on(MESSAGES, () => answers.shift()!).on("GET /v1/models", () => refusal(503, "overloaded"));
    await open("/c/" + CONVERSATION);
    expect(page.get("problem").textContent).toContain("The database is not available");
    expect(page.text).not.toContain("Upload a document and ask about it");
    await ask("How many?");
    expect(gateway.of(ASK)).toHaveLength(0);
    await page.click("problem-retry");
    expect(page.text).toContain("Three.");
    // What else did not work is not hidden by what works again.
    expect(page.get("problem").textContent).toContain("There is too much to do");
    expect(page.get("send").disabled).toBe(false);
  });

  it("is said in Spanish, too", async () => {
    gateway.on(MESSAGES, () => new Promise(() => undefined));
    await open("/c/" + CONVERSATION, "es");
    expect(page.text).toContain("Cargando…");
  });
});

describe("a conversation that is deleted slowly", () => {
  const DELETE = `DELETE /api/conversations/${CONVERSATION}`;
  const listed = {
    id: CONVERSATION,
    title: "Prices",
    branched_from: null,
    created_at: "2026-11-27T00:00:00Z",
    updated_at: "2026-11-27T00:00:00Z",
  };

  it("is left when it is gone, and one that was opened meanwhile is not", async () => {
    for (const [meanwhile, after] of [
      [CONVERSATION, "/"],
      [OTHER, "/c/" + OTHER],
    ] as const) {
      const deleted = awaited<Response>();
      gateway
        .on("GET /api/conversations", () => Response.json({ items: [listed], next_cursor: null }))
        .on(DELETE, () => deleted.promise);
      await open("/c/" + CONVERSATION);
      await page.click("delete");
      await goTo("/c/" + meanwhile);
      await page.after(() => deleted.resolve(new Response(null, { status: 204 })));
      expect(page.window.location.pathname).toBe(after);
      await page.unmount();
    }
  });
});

describe("a failure that passes", () => {
  const MODELS = "GET /v1/models";
  const models = () => Response.json({ data: [{ id: "lotoai", type: "chat", description: "" }] });

  it("of the models is gone with the next answer, the way back or a retry", async () => {
    for (const next of [
      () => ask("How many?"),
      () => page.lookAgain(),
      () => page.click("problem-retry"),
    ]) {
      gateway.on(MODELS, () => refusal(503, "overloaded")).on(ASK, () => refusal(429, "overloaded"));
      await open();
      expect(page.get("problem").textContent).toContain("There is too much to do");
      gateway.on(MODELS, models);
      await next();
      expect(page.find("problem")).toBeNull();
      await page.unmount();
    }
  });

  it("of signing out is gone with the next try", async () => {
    const second = awaited<Response>();
    const answers = [() => refusal(503, "storage_unavailable"), () => second.promise];
    gateway.on("POST /auth/logout", () => answers.shift()!());
    await open();
    await page.click("sign-out");
    expect(page.get("problem").textContent).toContain("The database is not available");
    await page.click("sign-out");
    expect(page.find("problem")).toBeNull();
    await page.after(() => second.resolve(new Response(null, { status: 204 })));
    expect(onSignedOut).toHaveBeenCalledWith("self");
  });
});

describe("a question that is stopped before its answer has begun", () => {
  it("teaches its conversation, is ended there, and does not come back", async () => {
    const coming = awaited<Response>();
    gateway.on(ASK, () => coming.promise);
    await open();
    await ask("How many?");
    await page.click("stop");
    expect(page.get("answer").getAttribute("data-state")).toBe("stopped");
    expect(gateway.of(CANCEL)).toHaveLength(0);
    await page.after(() => coming.resolve(new FakeStream(RUN, CONVERSATION).response));
    expect(gateway.of(CANCEL)).toHaveLength(1);
    expect(page.window.location.pathname).toBe("/c/" + CONVERSATION);
    expect(page.get("question").value).toBe("");
    await ask("And how much?");
    expect(gateway.of(ASK)[1]?.body).toMatchObject({ metadata: { conversation_id: CONVERSATION } });
  });

  it("comes back where nothing is kept of it", async () => {
    const coming = awaited<Response>();
    gateway.on(ASK, () => coming.promise);
    await open();
    await ask("How many?");
    await page.click("stop");
    await page.after(() => coming.resolve(refusal(429, "overloaded")));
    expect(page.get("question").value).toBe("How many?");
    expect(page.find("stop")).toBeNull();
  });

  it("comes back where another conversation is opened and nothing came, without a word there", async () => {
    vi.useFakeTimers();
    gateway.on(ASK, () => new Promise(() => undefined));
    await open();
    await ask("How many?");
    await goTo("/c/" + OTHER);
    // It can be asked there at once.
    expect(page.find("send")).not.toBeNull();
    await page.after(() => void vi.advanceTimersByTime(10_000));
    expect(page.get("question").value).toBe("How many?");
    expect(page.text).not.toContain("Stopped.");
  });

  it("does not lead back from another conversation that was opened meanwhile", async () => {
    const coming = awaited<Response>();
    gateway.on(ASK, () => coming.promise);
    await open();
    await ask("How many?");
    await goTo("/c/" + OTHER);
    await page.after(() => coming.resolve(new FakeStream(RUN, CONVERSATION).response));
    expect(gateway.of(CANCEL)).toHaveLength(1);
    expect(page.window.location.pathname).toBe("/c/" + OTHER);
    expect(page.get("question").value).toBe("");
  });
});

describe("a question that was lost with the connection", () => {
  const keys = () => gateway.of(ASK).map(({ headers }) => headers["idempotency-key"]);

  it("is sent again under its key, and another one is not", async () => {
    vi.useFakeTimers();
    gateway.on(ASK, () => Promise.reject(new TypeError("no network")));
    await open();
    for (const text of ["How many?", "How many?", "How much?"]) {
      await ask(text);
      for (const pause of [250, 1000, 2000]) await page.after(() => void vi.advanceTimersByTime(pause));
      expect(page.get("question").value).toBe(text);
    }
    expect(keys()).toHaveLength(12);
    expect(new Set(keys().slice(0, 8)).size).toBe(1);
    expect(new Set(keys().slice(8)).size).toBe(1);
    expect(new Set(keys()).size).toBe(2);
  });

  it("is another one once it was answered or refused", async () => {
    const streams = [new FakeStream(RUN, CONVERSATION), new FakeStream(RUN, CONVERSATION)];
    const answers = [refusal(429, "overloaded"), ...streams.map(({ response }) => response)];
    gateway.on(ASK, () => answers.shift()!);
    await open("/c/" + CONVERSATION);
    await ask("How many?");
    expect(page.get("question").value).toBe("How many?");
    for (const stream of streams) {
      await ask("How many?");
      await page.after(() => stream.end());
    }
    expect(new Set(keys()).size).toBe(3);
  });
});
