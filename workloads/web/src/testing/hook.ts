import { createElement, useState, type ReactNode } from "react";
import type { FakeElement } from "./dom";
import type { FakePage } from "./page";

/** Gives what shows something on a page, in place of what it has shown before. */
export async function stageOn(page: FakePage): Promise<(node: ReactNode) => Promise<void>> {
  let set: (node: ReactNode) => void = () => undefined;
  function Stage() {
    const [node, setNode] = useState<ReactNode>(null);
    set = setNode;
    return node;
  }
  await page.mount(createElement(Stage));
  return (node) => page.after(() => set(node));
}

/** Runs a hook: `now` is what it gave the last time, and `again` runs it once more. */
export async function hookOn<T>(page: FakePage, use: () => T) {
  const show = await stageOn(page);
  const hook = {
    now: undefined as T,
    again: () => show(createElement(Host)),
  };
  function Host() {
    hook.now = use();
    return null;
  }
  await hook.again();
  return hook;
}

/** Has a list be scrolled that shows `clientHeight` of its `scrollHeight` pixels from `scrollTop` on. */
export function scroll(
  page: FakePage,
  list: FakeElement,
  to: Pick<HTMLElement, "scrollHeight" | "scrollTop" | "clientHeight">,
): Promise<void> {
  const event = Object.defineProperty(new Event("scroll"), "target", { value: list });
  return page.after(() => Object.assign(list, to).tell(event));
}
