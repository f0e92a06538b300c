import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Citation } from "../api/types";
import { hookOn } from "../testing/hook";
import { FakePage } from "../testing/page";
import { useCitation } from "./useCitation";
import { useView, type View } from "./useView";

const ID = "019aab4e-6f1c-7d02-a4c1-f2b7a9d0e31";

let page: FakePage;
/** A step in the history. */
const goes = () => page.after(() => page.window.tell(new Event("popstate")));

beforeEach(() => {
  page = new FakePage();
});
afterEach(async () => {
  await page.unmount();
  vi.unstubAllGlobals();
});

describe("a passage beside a conversation", () => {
  const citation = { number: 1 } as Citation;
  const opened = async () => {
    const open = { id: "a" };
    const hook = await hookOn(page, () => useCitation(open.id));
    await page.after(() => hook.now.show(citation));
    expect(hook.now.citation).toBe(citation);
    return { open, hook };
  };

  it("goes with the conversation, however another one is opened", async () => {
    const { open, hook } = await opened();
    await hook.again();
    expect(hook.now.citation).toBe(citation);
    open.id = "b";
    await hook.again();
    expect(hook.now.citation).toBeNull();
  });

  it("goes with a step in the history, and stays away", async () => {
    const { hook } = await opened();
    await goes();
    expect(hook.now.citation).toBeNull();
    await hook.again();
    expect(hook.now.citation).toBeNull();
  });
});

describe("what a small screen shows", () => {
  /** What is shown after steps in the history to these paths, each from the list of documents. */
  const after = async (...paths: string[]) => {
    const hook = await hookOn(page, () => useView(ID + "1"));
    const shown: View[] = [];
    for (const path of paths) {
      await page.after(() => hook.now[1]("documents"));
      page.window.location.pathname = path;
      await goes();
      shown.push(hook.now[0]);
    }
    return shown;
  };

  it("is the conversation that a step in the history leads to", async () => {
    expect(await after(`/c/${ID}2`, "/")).toEqual(["chat", "chat"]);
  });

  it("stays with a step to a page over the chat and back from it", async () => {
    expect(await after("/usage", `/c/${ID}1`)).toEqual(["documents", "documents"]);
  });
});
