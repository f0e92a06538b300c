import type { ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../api/http";
import type { Approval, ApprovalRequest } from "../../api/types";
import { I18nProvider } from "../../i18n/context";
import type { Language } from "../../i18n/dictionary";
import type { Standing } from "../../lib/approvals";
import type { Turn } from "../../lib/useConversation";
import type { Pages } from "../../lib/usePages";
import { Answer } from "../Answer";
import { ApprovalForm } from "./ApprovalForm";
import { ApprovalView } from "./ApprovalCard";
import { countText, Waiting } from "./Waiting";

let language: Language = "en";

function seen(node: ReactNode): string {
  return renderToStaticMarkup(<I18nProvider>{node}</I18nProvider>);
}

/** The start tag of the element with this test id. */
function tag(html: string, id: string): string {
  return new RegExp(`<[^>]*data-testid="${id}"[^>]*>`).exec(html)?.[0] ?? "";
}

const nothing = () => undefined;
const NOW = Date.parse("2026-11-26T10:00:00Z");

const request: ApprovalRequest = {
  id: "a",
  tool: "send_mail",
  arguments: { to: "<b>bo</b>" },
  description: "Sends a mail",
  expires_at: "2026-11-27T10:00:00Z",
};
const approval: Approval = {
  ...request,
  state: "pending",
  run_id: "r",
  conversation_id: "019aab4e-0000-7000-8000-000000000000",
  created_at: "2026-11-26T09:00:00Z",
  decided_at: null,
  reason: null,
  answer_run_id: null,
};

beforeEach(() => {
  language = "en";
  vi.useFakeTimers({ now: NOW });
  vi.stubGlobal("localStorage", { getItem: () => language });
  vi.stubGlobal("navigator", { languages: [] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a call that needs consent", () => {
  type Part = Partial<Parameters<typeof ApprovalView>[0]>;
  const view = (standing: Standing, part: Part = {}) =>
    seen(
      <ApprovalView
        request={request}
        approval={null}
        standing={standing}
        busy={false}
        isDeciding={false}
        error={null}
        onRetry={nothing}
        onDecide={nothing}
        {...part}
      />,
    );

  it("says which tool would be called with what, and until when", () => {
    const html = view("pending");
    expect(html).toContain("Consent to call send_mail");
    expect(html).toContain("Sends a mail");
    expect(html).toContain("in 24 hours");
    // It is text, whatever it looks like.
    expect(html).toContain("&lt;b&gt;bo&lt;/b&gt;");
    expect(html).not.toContain("<b>");
    for (const id of ["approve", "deny", "approval-reason", "edit-arguments"]) {
      expect(tag(html, id), id).not.toBe("");
    }
    expect(tag(html, "approve")).not.toContain("disabled=\"\"");
  });

  it("can be decided only while it waits", () => {
    for (const [standing, text] of [
      ["approved", "You approved this call."],
      ["denied", "You denied this call."],
      ["expired", "Nobody decided in time"],
      ["gone", "cannot be decided any more"],
      ["loading", "Loading"],
    ] as const) {
      const html = view(standing);
      expect(tag(html, "approval")).toContain(`data-state="${standing}"`);
      expect(html, standing).toContain(text);
      expect(tag(html, "approve"), standing).toBe("");
      expect(html, standing).toContain("&lt;b&gt;bo");
    }
  });

  it("says what is done, and why it was not", () => {
    const deciding = view("pending", { isDeciding: true });
    expect(deciding).toContain("Your decision is being carried out.");
    expect(tag(deciding, "approve")).toBe("");
    const refused = view("pending", { error: new ApiError(410, "approval_expired", "m") });
    expect(refused).toContain('role="alert"');
    expect(refused).toContain("Nobody decided in time, so it was not called. Ask again.");
    const unread = view("loading", { error: new ApiError(503, "orchestrator_unavailable", "m") });
    expect(unread).toContain("Try again");
    expect(view("denied", { approval: { ...approval, reason: "not now" } })).toContain(
      "Reason: not now",
    );
  });

  it("waits for an answer that is being written", () => {
    const html = view("pending", { busy: true });
    for (const id of ["approve", "deny"]) expect(tag(html, id)).toContain('disabled=""');
  });

  it("speaks Spanish", () => {
    language = "es";
    const html = view("pending");
    for (const text of ["Consentimiento para llamar a send_mail", "Aprobar", "Denegar", "Motivo"]) {
      expect(html).toContain(text);
    }
  });
});

describe("the form", () => {
  const form = (draft?: string) =>
    seen(
      <ApprovalForm
        request={request}
        busy={false}
        onDecide={nothing}
        {...(draft === undefined ? {} : { draft })}
      />,
    );

  it("has a label for every field, and every label a field", () => {
    const html = form("{}");
    const ids = (pattern: RegExp) => [...html.matchAll(pattern)].map((match) => match[1]).sort();
    const labelled = ids(/<label for="([^"]+)"/g);
    expect(labelled).toHaveLength(2);
    expect(ids(/<(?:input|textarea) id="([^"]+)"/g)).toEqual(labelled);
  });

  it("says what is wrong with edited arguments", () => {
    expect(form('{"to": "eve"}')).not.toContain("This is not JSON");
    expect(tag(form('{"to": "eve"}'), "approval-arguments")).toContain('aria-invalid="false"');
    const broken = form('{"to": ');
    expect(broken).toContain("This is not JSON yet.");
    expect(tag(broken, "approval-arguments")).toContain('aria-invalid="true"');
    expect(tag(broken, "approve")).toContain('aria-disabled="true"');
    // Denying needs no arguments.
    expect(tag(broken, "deny")).not.toContain("disabled");
    expect(form("[]")).toContain("one object in braces");
  });

  it("sends nothing with the Enter key", () => {
    const html = form("{}");
    expect(html).not.toContain("<form");
    expect(html).not.toContain('type="submit"');
  });
});

describe("what waits", () => {
  const pages = (items: Approval[] | null, hasMore = false): Pages<Approval> => ({
    items,
    error: null,
    hasMore,
    reload: nothing,
    more: () => Promise.resolve(),
    add: nothing,
    remove: () => Promise.resolve(true),
  });
  const waiting = (of: Pages<Approval>) => seen(<Waiting pages={of} onOpen={nothing} />);

  it("leads to the conversations in which it is decided", () => {
    const html = waiting(pages([approval, { ...approval, id: "b", tool: "write" }]));
    expect(html).toContain("Waiting for your consent: 2");
    expect(html).toContain(`href="/c/${approval.conversation_id}"`);
    expect(html).toContain("Open the conversation in which write waits for your consent");
    expect(countText(50, true)).toBe("50+");
  });

  it("is not there where nothing waits, or nothing any more", () => {
    expect(waiting(pages(null))).toBe("");
    expect(waiting(pages([]))).toBe("");
    expect(waiting(pages([{ ...approval, expires_at: "2026-11-26T10:00:00Z" }]))).toBe("");
  });

  it("says where one is decided that belongs to no conversation", () => {
    const html = waiting(pages([{ ...approval, conversation_id: null }]));
    expect(html).toContain("decide it with the API");
    expect(html).not.toContain("href");
  });
});

describe("an answer", () => {
  const turn: Turn = {
    key: "k",
    runId: "r",
    role: "assistant",
    text: "I need your consent.",
    decision: null,
    citations: [],
    toolCalls: [],
    approvals: [request],
    state: "done",
  };
  const deciding = { busy: false, onDecide: () => Promise.resolve(null), onError: nothing };

  it("shows what it asks consent for, which a reload shows again", () => {
    const html = seen(
      <Answer turn={turn} onCitation={nothing} onUsage={nothing} deciding={deciding} />,
    );
    expect(tag(html, "approval")).toContain('data-tool="send_mail"');
    const none = { ...turn, approvals: [] };
    const without = seen(
      <Answer turn={none} onCitation={nothing} onUsage={nothing} deciding={deciding} />,
    );
    expect(tag(without, "approval")).toBe("");
  });
});
