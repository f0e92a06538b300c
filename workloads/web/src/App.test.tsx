import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "./App";
import { awaited } from "./testing/awaited";
import { FakeGateway, FakeStream, refusal } from "./testing/gateway";
import { FakePage } from "./testing/page";

// What they show has nothing to do with what is said here.
vi.mock("./components/Documents", () => ({ Documents: () => null }));

const RUN = "019aab4e-0000-7000-8000-000000000000";
const CONVERSATION = "019aab4e-0000-7000-8000-00000000000c";
const ASK = "POST /v1/chat/completions";
const ME = "GET /api/me";
const LIST = "GET /api/conversations";
const MESSAGES = `GET /api/conversations/${CONVERSATION}/messages`;

const is = (subject: string) => () =>
  Response.json({ subject, name: subject, groups: [], admin: false });
const over = () => Response.json({ code: "session_expired", detail: "it is over" }, { status: 401 });
const asked = () =>
  Response.json({
    items: [{ id: "q", run_id: null, role: "user", content: "Ana’s secret", citations: [], tool_calls: [], approvals: [] }],
    next_cursor: null,
  });

let page: FakePage;
let gateway: FakeGateway;

async function open(path = "/", language = "en"): Promise<void> {
  page = new FakePage(path, language);
  await page.mount(<App />);
}

/** Opens the page and asks; the answer comes when the test lets it. */
async function askInVain(question: string) {
  const late = awaited<Response>();
  gateway.on(ASK, () => late.promise);
  await open();
  await page.write("question", question);
  await page.click("send");
  return late;
}

beforeEach(() => {
  gateway = new FakeGateway().on(ME, is("ana"));
});
afterEach(async () => {
  await page.unmount();
  vi.unstubAllGlobals();
});

describe("a tab that is looked at again", () => {
  it("shows nothing of one person to another one", async () => {
    const listed = Response.json({ items: [{ id: CONVERSATION, title: "Ana’s list" }], next_cursor: null });
    gateway.on(MESSAGES, asked).on(LIST, () => listed);
    await open("/c/" + CONVERSATION);
    await page.write("question", "Ana’s draft");
    expect(page.text).toContain("Ana’s list");
    gateway.on(ME, is("eve")).on(LIST, () => new Promise(() => undefined));
    await page.lookAgain();
    expect(page.get("me").textContent).toBe("eve");
    expect(page.text).not.toContain("Ana’s");
    expect(page.get("question").value).toBe("");
    expect(page.window.location.pathname).toBe("/");
    await page.write("question", "How many?");
    await page.click("send");
    expect(gateway.of(ASK)[0]?.body).not.toHaveProperty("metadata");
  });

  it("stays as it is for the same person", async () => {
    gateway.on(MESSAGES, asked);
    await open("/c/" + CONVERSATION);
    await page.write("question", "Ana’s draft");
    await page.lookAgain();
    expect(gateway.of(ME)).toHaveLength(2);
    expect(gateway.of(MESSAGES)).toHaveLength(1);
    expect(page.text).toContain("Ana’s secret");
    expect(page.get("question").value).toBe("Ana’s draft");
    expect(page.window.location.pathname).toBe("/c/" + CONVERSATION);
  });

  it("signs nobody out for what was refused to whoever was there before", async () => {
    const late = await askInVain("How many?");
    gateway.on(ME, is("eve"));
    await page.lookAgain();
    await page.after(() => late.resolve(over()));
    expect(page.get("me").textContent).toBe("eve");
    expect(page.get("question").value).toBe("");
  });
});

describe("an answer that begins once somebody else is there", () => {
  it("is ended, and leads nobody to its conversation", async () => {
    const late = await askInVain("How many?");
    gateway.on(ME, is("eve"));
    await page.lookAgain();
    await page.after(() => late.resolve(new FakeStream(RUN, CONVERSATION).response));
    expect(gateway.of(`POST /v1/chat/completions/${RUN}/cancel`)).toHaveLength(1);
    expect(page.window.location.pathname).toBe("/");
  });
});

describe("the end of a session", () => {
  it("leaves what was being written to be copied", async () => {
    for (const [language, label] of [
      ["en", "What you were writing."],
      ["es", "Lo que estabas escribiendo."],
    ] as const) {
      gateway.on(ME, is("ana"));
      await open("/", language);
      await page.write("question", "A long question");
      gateway.on(ME, over);
      await page.lookAgain();
      expect(page.get("signed-out").getAttribute("data-ending")).toBe("over");
      expect(page.get("draft").value).toBe("A long question");
      expect(page.text).toContain(label);
      await page.unmount();
    }
  });

  it("leaves the question that was refused for it", async () => {
    gateway.on(ASK, over);
    await open();
    await page.write("question", "A long question");
    await page.click("send");
    expect(page.find("me")).toBeNull();
    expect(page.get("draft").value).toBe("A long question");
  });

  it("leaves the question that was on its way when something else found out", async () => {
    const late = await askInVain("A long question");
    gateway.on(ME, over);
    await page.lookAgain();
    expect(page.find("draft")).toBeNull();
    await page.after(() => late.resolve(over()));
    expect(page.get("draft").value).toBe("A long question");
  });

  it("leaves no question that is stored", async () => {
    const stream = new FakeStream(RUN, CONVERSATION);
    gateway.on(ASK, () => stream.response);
    await open();
    await page.write("question", "A long question");
    await page.click("send");
    gateway.on(ME, over);
    await page.lookAgain();
    expect(page.find("signed-out")).not.toBeNull();
    expect(page.find("draft")).toBeNull();
  });

  it("leaves nothing to whoever comes after somebody signed out", async () => {
    gateway.on("POST /auth/logout", () => new Response(null, { status: 204 }));
    await open();
    await page.write("question", "A long question");
    await page.click("sign-out");
    expect(page.get("signed-out").getAttribute("data-ending")).toBe("self");
    expect(page.find("draft")).toBeNull();
    expect(page.text).not.toContain("A long question");
  });

  it("leaves nothing where they signed out in another tab", async () => {
    let hear: () => void = () => undefined;
    class Channel {
      set onmessage(listener: () => void) {
        hear = listener;
      }
      close() {}
    }
    vi.stubGlobal("BroadcastChannel", Channel);
    await open();
    await page.write("question", "A long question");
    await page.after(() => hear());
    expect(page.get("signed-out").getAttribute("data-ending")).toBe("elsewhere");
    expect(page.find("draft")).toBeNull();
    // Nor when the page is taken from where the browser had put it aside.
    gateway.on(ME, over);
    await page.after(() => page.window.tell(Object.assign(new Event("pageshow"), { persisted: true })));
    expect(page.text).not.toContain("A long question");
  });

  it("keeps nothing of it in the browser", async () => {
    await open();
    const setItem = vi.fn();
    vi.stubGlobal("localStorage", { getItem: () => "en", setItem });
    vi.stubGlobal("sessionStorage", { getItem: () => null, setItem, removeItem: () => undefined });
    await page.write("question", "A long question");
    gateway.on(ME, () => refusal(401, "session_expired"));
    await page.lookAgain();
    expect(page.get("draft").value).toBe("A long question");
    expect(setItem).not.toHaveBeenCalled();
  });
});
