import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newDraft } from "../lib/draft";
import { FakePage } from "../testing/page";
import { Composer } from "./Composer";

const onStop = vi.fn();
let page: FakePage;
let draft = newDraft();
/** Ends the answer that was begun last; whether its question is kept nowhere. */
let end: (isLost: boolean) => void = () => undefined;
const onSend = vi.fn();

/** As in the workspace: an answer is being written from a question on until its end. */
function Chat({ isReady = true }: { isReady?: boolean }) {
  const [busy, setBusy] = useState(false);
  const send = (text: string) => {
    onSend(text);
    setBusy(true);
    return new Promise<boolean>((resolve) => {
      end = (isLost) => {
        setBusy(false);
        resolve(isLost);
      };
    });
  };
  return <Composer draft={draft} isReady={isReady} busy={busy} onSend={send} onStop={onStop} />;
}

beforeEach(() => {
  vi.clearAllMocks();
  page = new FakePage();
  draft = newDraft();
});
afterEach(async () => {
  await page.unmount();
  vi.unstubAllGlobals();
});

describe("the composer", () => {
  it("sends what was written, and gives back what is kept nowhere", async () => {
    await page.mount(<Chat />);
    await page.write("question", " How many? ");
    await page.press("question", "Enter");
    expect(onSend.mock.calls).toEqual([["How many?"]]);
    expect(page.get("question").value).toBe("");
    await page.after(() => end(true));
    expect(page.get("question").value).toBe("How many?");
    // The control: what is kept does not come back.
    await page.click("send");
    await page.after(() => end(false));
    expect(page.get("question").value).toBe("");
  });

  it("keeps what is written while it is not known what was said before", async () => {
    await page.mount(<Chat isReady={false} />);
    await page.write("question", "How many?");
    await page.press("question", "Enter");
    await page.click("send");
    expect(onSend).not.toHaveBeenCalled();
    expect(page.get("question").value).toBe("How many?");
    expect(page.get("send").disabled).toBe(true);
  });

  it("stops by a click of its own, and not by the second one on Send", async () => {
    await page.mount(<Chat />);
    await page.write("question", "How many?");
    await page.click("send", 1);
    await page.click("stop", 2);
    expect(onStop).not.toHaveBeenCalled();
    await page.click("stop", 1);
    expect(onStop).toHaveBeenCalledTimes(1);
  });

  it("sends nothing by a click that was meant for Stop", async () => {
    await page.mount(<Chat />);
    await page.write("question", "How many?");
    await page.click("send");
    const stop = page.get("stop");
    await page.write("question", "And how");
    await page.after(() => end(false));
    // A press of the mouse on Stop is no click on Send when it is let go.
    expect(page.get("send")).not.toBe(stop);
    await page.click("send", 2);
    expect(onSend).toHaveBeenCalledTimes(1);
    expect(draft.read()).toBe("And how");
    await page.click("send", 1);
    expect(onSend).toHaveBeenLastCalledWith("And how");
  });

  it("leaves a keyboard in the field when the button goes that it was on", async () => {
    await page.mount(<Chat />);
    await page.write("question", "How many?");
    page.get("send").focus();
    await page.click("send", 0);
    const { document } = page.window;
    expect(document.activeElement).toBe(page.get("question"));
    // The control: what was elsewhere stays there.
    document.body.focus();
    await page.after(() => end(false));
    expect(document.activeElement).toBe(document.body);
  });
});
