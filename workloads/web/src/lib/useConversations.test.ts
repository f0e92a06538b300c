import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hookOn } from "../testing/hook";
import { FakePage } from "../testing/page";
import { useConversations } from "./useConversations";

const item = (id: string) => ({
  id,
  title: "title of " + id,
  created_at: "",
  updated_at: "",
  branched_from: null,
});

let page: FakePage;
/** What is still to be answered to the deletion of each. */
let answers: Map<string, (response: Response) => void>;

beforeEach(() => {
  page = new FakePage();
  answers = new Map();
  vi.stubGlobal("fetch", (path: string, init?: RequestInit) => {
    if (init?.method !== "DELETE") {
      return Promise.resolve(Response.json({ items: ["a", "b", "c"].map(item), next_cursor: null }));
    }
    return new Promise<Response>((resolve) => answers.set(path.split("/").at(-1)!, resolve));
  });
});
afterEach(async () => {
  await page.unmount();
  vi.unstubAllGlobals();
});

const nothing = () => undefined;

async function shown() {
  const hook = await hookOn(page, () => useConversations(0, nothing));
  return {
    list: () => hook.now,
    ids: () => hook.now.items?.map((it) => it.id).join(""),
    remove: (id: string) => page.after(() => void hook.now.remove(id)),
    answer: (id: string, status: number) =>
      page.after(() => answers.get(id)!(status === 204 ? new Response(null, { status }) : refused(status))),
  };
}

function refused(status: number): Response {
  return Response.json({ code: "conversation_not_found", title: "none" }, { status });
}

describe("conversations that are deleted", () => {
  it("stay away when another one is deleted before they are", async () => {
    const { list, ids, remove, answer } = await shown();
    await remove("a");
    await remove("b");
    await answer("a", 204);
    expect(ids()).toBe("bc");
    expect(list().deleted?.item.id).toBe("a");
    await answer("b", 204);
    expect(ids()).toBe("c");
    expect(list().deleted).toEqual({ item: item("b"), before: "c" });
  });

  it("are out when somebody else has deleted them, and stay when they could not be deleted", async () => {
    const { list, ids, remove, answer } = await shown();
    await remove("a");
    await answer("a", 404);
    expect(ids()).toBe("bc");
    expect(list().error).toBeNull();
    await remove("b");
    await answer("b", 503);
    expect(ids()).toBe("bc");
    expect(list().error).not.toBeNull();
  });
});
