import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from "vitest";
import type { FakeElement } from "../testing/dom";
import { hookOn } from "../testing/hook";
import { FakePage } from "../testing/page";
import { isNearEnd, useFollow } from "./useFollow";

let page: FakePage;
let list: FakeElement;
let end: FakeElement;
let shown: MockInstance;

beforeEach(() => {
  page = new FakePage();
  list = page.window.document.createElement("div");
  end = page.window.document.createElement("div");
  shown = vi.spyOn(end, "scrollIntoView");
  Object.assign(list, { scrollHeight: 1000, clientHeight: 400, scrollTop: 600 });
});
afterEach(async () => {
  await page.unmount();
  vi.unstubAllGlobals();
});

/** Follows a list; what comes last in it is what is said with `ends`. */
async function follow() {
  let last: { key: string; text: string } = { key: "a", text: "" };
  const { now, again } = await hookOn(page, () => {
    const follow = useFollow(last.key, last.text);
    // As the elements of a page are.
    Object.assign(follow.list, { current: list });
    Object.assign(follow.end, { current: end });
    return follow;
  });
  return {
    ends: async (key: string, text: string) => {
      last = { key, text };
      await again();
    },
    scrollTo: (scrollTop: number) => {
      Object.assign(list, { scrollTop });
      now.onScroll();
    },
  };
}

describe("a list whose last text grows", () => {
  it("is followed by who reads its end", async () => {
    const { ends } = await follow();
    expect(shown).toHaveBeenCalledTimes(1);
    await ends("a", "one");
    await ends("a", "one two");
    expect(shown).toHaveBeenCalledTimes(3);
  });

  it("stays where it is for who reads further up, until they come back to its end", async () => {
    const { ends, scrollTo } = await follow();
    scrollTo(300);
    await ends("a", "one");
    await ends("a", "one two");
    expect(shown).toHaveBeenCalledTimes(1);
    scrollTo(580);
    await ends("a", "one two three");
    expect(shown).toHaveBeenCalledTimes(2);
  });

  it("shows what comes below it, wherever one reads, and goes on from there", async () => {
    const { ends, scrollTo } = await follow();
    scrollTo(0);
    await ends("b", "");
    await ends("b", "one");
    expect(shown).toHaveBeenCalledTimes(3);
  });
});

describe("the end of a list", () => {
  it("is near from a line above it on, and where there is nothing to scroll", () => {
    const at = (scrollTop: number) => ({ scrollHeight: 1000, clientHeight: 400, scrollTop });
    expect([600, 570].map((top) => isNearEnd(at(top)))).toEqual([true, true]);
    expect([560, 0].map((top) => isNearEnd(at(top)))).toEqual([false, false]);
    expect(isNearEnd({ scrollHeight: 100, clientHeight: 400, scrollTop: 0 })).toBe(true);
  });
});
