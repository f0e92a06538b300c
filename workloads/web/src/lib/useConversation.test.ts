import { afterEach, describe, expect, it, vi } from "vitest";
import type { StoredMessage } from "../api/types";
import { isSame, storedId, turnsOf, withOlder } from "./useConversation";

afterEach(() => vi.unstubAllGlobals());

const stored: StoredMessage = {
  id: "m",
  run_id: "r",
  role: "assistant",
  content: "",
  outcome: "ok",
  decision: null,
  citations: [],
  tool_calls: [],
  approvals: [],
};

describe("isSame", () => {
  it("knows a stored answer by its id and a new one by its run", () => {
    expect(isSame({ key: "m", runId: null }, stored)).toBe(true);
    expect(isSame({ key: "new-1", runId: "r" }, stored)).toBe(true);
  });

  it("takes no other for it", () => {
    expect(isSame({ key: "new-1", runId: "s" }, stored)).toBe(false);
    // Neither a question nor a copy in a branch has a run.
    expect(isSame({ key: "new-1", runId: null }, { ...stored, run_id: null })).toBe(false);
  });
});

describe("storedId", () => {
  const pages = [
    { items: [{ ...stored, id: "new", run_id: "s" }], next_cursor: "older" },
    { items: [stored], next_cursor: null },
  ];
  const answer = () => {
    const fetch = vi.fn<typeof globalThis.fetch>(async (path) =>
      Response.json(pages[String(path).includes("cursor=older") ? 1 : 0]),
    );
    vi.stubGlobal("fetch", fetch);
    return fetch;
  };

  it("is found on whatever page it is, and no page more is read", async () => {
    let fetch = answer();
    expect(await storedId("c", { key: "new-1", runId: "s" })).toBe("new");
    expect(fetch).toHaveBeenCalledTimes(1);
    fetch = answer();
    expect(await storedId("c", { key: "new-1", runId: "r" })).toBe("m");
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it("is none of what is not stored", async () => {
    const fetch = answer();
    expect(await storedId("c", { key: "new-1", runId: "t" })).toBeNull();
    expect(fetch).toHaveBeenCalledTimes(2);
  });
});

describe("older messages", () => {
  const page = (...ids: string[]) => ids.map((id) => ({ ...stored, id, run_id: null }));
  const keys = (turns: { key: string }[]) => turns.map((turn) => turn.key);

  it("stand above the newer ones, and the newest at the bottom", () => {
    const newest = turnsOf(page("6", "5"));
    expect(keys(newest)).toEqual(["5", "6"]);
    const more = withOlder(newest, page("4", "3"));
    expect(keys(withOlder(more, page("2", "1")))).toEqual(["1", "2", "3", "4", "5", "6"]);
  });

  it("come once, also when they were asked for twice, and leave what is new in its place", () => {
    const turn = { ...turnsOf(page("5"))[0]!, key: "new-1" };
    const newest = [...turnsOf(page("6")), turn];
    const once = withOlder(newest, page("4", "3"));
    expect(keys(once)).toEqual(["3", "4", "6", "new-1"]);
    expect(withOlder(once, page("4", "3"))).toEqual(once);
    expect(withOlder(once, [])).toEqual(once);
  });
});
