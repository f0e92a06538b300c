import type * as ReactMarkdown from "react-markdown";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../api/http";
import type { Turn } from "../lib/useConversation";
import { scroll, stageOn } from "../testing/hook";
import { FakePage } from "../testing/page";
import { Turns } from "./Turns";

/** The texts that were parsed, in their order. */
const parsed: string[] = [];
vi.mock("react-markdown", async (load) => {
  const { default: Markdown } = await load<typeof ReactMarkdown>();
  return {
    default: (props: ReactMarkdown.Options) => {
      parsed.push(props.children ?? "");
      return Markdown(props);
    },
  };
});

const nothing = () => undefined;

const answer = (key: string, fields: Partial<Turn> = {}): Turn => ({
  key,
  runId: key,
  role: "assistant",
  text: "text of " + key,
  decision: null,
  citations: [],
  toolCalls: [],
  approvals: [],
  state: "done",
  ...fields,
});
const writing = (text: string) => answer("new", { text, state: "writing" });

let page: FakePage;
let stage: Awaited<ReturnType<typeof stageOn>>;

beforeEach(async () => {
  parsed.length = 0;
  page = new FakePage();
  stage = await stageOn(page);
});
afterEach(async () => {
  await page.unmount();
  vi.unstubAllGlobals();
});

const all = (name: string, value: string) =>
  page.window.document.body.all((it) => it.getAttribute(name) === value);

function show(turns: Turn[], busy: boolean) {
  const conversation = {
    id: "c",
    turns,
    reading: "read" as const,
    hasOlder: false,
    busy,
    branch: () => Promise.resolve(),
    decide: () => Promise.resolve(null),
    loadOlder: () => Promise.resolve(),
  };
  return stage(
    <Turns conversation={conversation} onCitation={nothing} onUsage={nothing} onError={nothing} />,
  );
}

describe("while an answer is written", () => {
  const stored = [answer("a"), answer("b")];

  it("what was said before is not parsed again with every word", async () => {
    await show([...stored, writing("one")], true);
    expect(parsed).toEqual(["text of a", "text of b", "one"]);
    parsed.length = 0;
    await show([...stored, writing("one two")], true);
    await show([...stored, writing("one two three")], true);
    expect(parsed).toEqual(["one two", "one two three"]);
    expect(page.text).toContain("text of a");
  });

  it("who scrolls up is left where they are", async () => {
    await show([...stored, writing("one")], true);
    const list = all("class", "turns")[0]!;
    const shown = vi.spyOn(list.all(() => true).at(-1)!, "scrollIntoView");
    await show([...stored, writing("one two")], true);
    expect(shown).toHaveBeenCalledTimes(1);
    await scroll(page, list, { scrollHeight: 1000, clientHeight: 400, scrollTop: 100 });
    await show([...stored, writing("one two three")], true);
    expect(shown).toHaveBeenCalledTimes(1);
  });
});

describe("what is spoken of an answer", () => {
  const spoken = () => all("role", "status")[0]!.textContent;
  const end = async (fields: Partial<Turn>) => {
    await show([answer("a"), writing("one")], true);
    expect(spoken()).toBe("The answer is being written.");
    await show([answer("a"), answer("new", fields)], false);
    return spoken();
  };

  it("is how it ended", async () => {
    expect(await end({ state: "done" })).toBe("The answer is complete.");
    expect(await end({ state: "stopped" })).toBe("Stopped.");
    const stopped = new ApiError(200, "answer_stopped", "it was stopped");
    expect(await end({ state: "failed", error: stopped })).toBe("Stopped.");
  });

  it("is the alert of one that failed, and no more", async () => {
    const error = new ApiError(200, "agents_unavailable", "m");
    expect(await end({ state: "failed", error })).toBe("");
    expect(all("role", "alert")[0]!.textContent).toContain("Models cannot be asked");
  });

  it("is nothing where a conversation is opened", async () => {
    await show([answer("a")], false);
    expect(spoken()).toBe("");
    await end({ state: "done" });
    await show([], false);
    await show([answer("b")], false);
    expect(spoken()).toBe("");
  });
});
