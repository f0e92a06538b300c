import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CitationPanel } from "../components/CitationPanel";
import { FakeElement } from "../testing/dom";
import { stageOn } from "../testing/hook";
import { FakePage } from "../testing/page";

let page: FakePage;
let stage: Awaited<ReturnType<typeof stageOn>>;
let links: FakeElement[];

beforeEach(async () => {
  page = new FakePage();
  vi.stubGlobal("HTMLElement", FakeElement);
  stage = await stageOn(page);
  const { document } = page.window;
  links = [document.createElement("button"), document.createElement("button")];
  for (const link of links) document.body.appendChild(link);
});
afterEach(async () => {
  await page.unmount();
  vi.unstubAllGlobals();
});

function open(number: number) {
  const citation = {
    number,
    document_id: "d",
    document_name: "plan.txt",
    passage: "passage " + number,
    heading: "",
    chunk_index: 0,
    score: 1,
  };
  return stage(<CitationPanel citation={citation} onClose={() => undefined} />);
}

const focused = () => page.window.document.activeElement;
const inPanel = (name: string) => page.get("citation-panel").all((it) => it.nodeName === name)[0]!;

describe("the focus of a panel", () => {
  it("goes back to the last place outside of it, and only when it closes", async () => {
    const left = vi.spyOn(links[0]!, "focus");
    links[0]!.focus();
    await open(1);
    expect(focused()).toBe(inPanel("H2"));
    links[1]!.focus();
    await open(2);
    expect(focused()).toBe(inPanel("H2"));
    // Else the page would have scrolled to what had been read before.
    expect(left).toHaveBeenCalledTimes(1);
    await stage(null);
    expect(focused()).toBe(links[1]);
  });

  it("does not go back to what was in it and has gone with it", async () => {
    links[0]!.focus();
    await open(1);
    inPanel("BUTTON").focus();
    await open(2);
    await stage(null);
    expect(focused()).toBe(links[0]);
  });

  it("stays with who has gone on to something else", async () => {
    links[0]!.focus();
    await open(1);
    links[1]!.focus();
    await stage(null);
    expect(focused()).toBe(links[1]);
  });
});
