import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newDraft } from "../lib/draft";
import { FakeElement } from "../testing/dom";
import { FakeGateway } from "../testing/gateway";
import { FakePage } from "../testing/page";
import { Workspace } from "./Workspace";

const ID = "019aab4e-6f1c-7d02-a4c1-f2b7a9d0e311";
const BRANCH = "019aab4e-6f1c-7d02-a4c1-f2b7a9d0e312";
const nothing = () => undefined;

const citation = {
  number: 1,
  document_id: "d",
  document_name: "plan.txt",
  passage: "Twelve desks.",
  heading: "",
  chunk_index: 0,
  score: 1,
};
const answer = {
  id: "m",
  run_id: "r",
  role: "assistant",
  content: "Twelve.",
  outcome: "ok",
  decision: null,
  citations: [citation],
  tool_calls: [],
  approvals: [],
};

let page: FakePage;

beforeEach(async () => {
  page = new FakePage("/c/" + ID);
  vi.stubGlobal("HTMLElement", FakeElement);
  new FakeGateway()
    .on(`GET /api/conversations/${ID}/messages`, () =>
      Response.json({ items: [answer], next_cursor: null }),
    )
    .on(`POST /api/conversations/${ID}/branch`, () =>
      Response.json({ id: BRANCH, title: "t", created_at: "", updated_at: "", branched_from: null }),
    );
  const me = { subject: "ana", name: "Ana", groups: [], admin: false };
  await page.mount(
    <Workspace me={me} draft={newDraft()} onSignedOut={nothing} onErased={nothing} />,
  );
  await page.click("citation");
  expect(page.get("passage").textContent).toBe("Twelve desks.");
});
afterEach(async () => {
  await page.unmount();
  vi.unstubAllGlobals();
});

describe("the passage beside a conversation", () => {
  it("is not over what a tab of a small screen chooses", async () => {
    await page.click("tab-documents");
    expect(page.find("citation-panel")).toBeNull();
  });

  it("goes with its conversation when one goes on in a branch of it", async () => {
    await page.click("branch");
    expect(page.find("citation-panel")).toBeNull();
  });

  it("goes with a step in the history, which leads back to the chat", async () => {
    await page.click("tab-documents");
    await page.click("citation");
    page.window.location.pathname = "/";
    await page.after(() => page.window.tell(new Event("popstate")));
    expect(page.find("citation-panel")).toBeNull();
    expect(page.get("tab-chat").getAttribute("aria-current")).toBe("true");
  });
});
