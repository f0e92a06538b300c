import type { ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../api/http";
import type { Refusal, Warning } from "../api/usageTypes";
import { I18nProvider } from "../i18n/context";
import type { Turn } from "../lib/useConversation";
import { Answer } from "./Answer";
import { BudgetNotice } from "./BudgetNotice";

const nothing = () => undefined;

function seen(node: ReactNode): string {
  return renderToStaticMarkup(<I18nProvider>{node}</I18nProvider>);
}

const refusal: Refusal = {
  name: "day",
  scope: "User",
  subject: "ana",
  per: "Day",
  kind: "requests",
  limit: 10,
  used: 10,
  needed: 1,
  resets_at: "2026-11-27T00:00:00Z",
};
const turn: Turn = {
  key: "new-1",
  runId: null,
  role: "assistant",
  text: "",
  decision: null,
  citations: [],
  toolCalls: [],
  approvals: [],
  state: "failed",
};

beforeEach(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en" });
  vi.stubGlobal("navigator", { languages: [] });
});
afterEach(() => vi.unstubAllGlobals());

describe("a question that a budget stops", () => {
  const answer = (error: unknown) =>
    seen(<Answer turn={{ ...turn, error }} onCitation={nothing} onUsage={nothing} />);

  it("says which budget it is and leads to what was used", () => {
    const html = answer(new ApiError(429, "budget_exceeded", "budget is used up", refusal));
    expect(html).toContain('role="alert"');
    expect(html).toContain('data-budget="day"');
    expect(html).toContain("Your budget “day” is used up: 10 requests a day.");
    expect(html).toContain("It begins anew on ");
    expect(html).toContain('href="/usage"');
  });

  it("is told from one that meets a busy platform", () => {
    const html = answer(new ApiError(429, "overloaded", "send it again in a moment"));
    expect(html).toContain("There is too much to do right now");
    expect(html).not.toContain("budget");
  });
});

describe("a notice of budgets", () => {
  const notice = (warnings: Warning[]) =>
    seen(<BudgetNotice warnings={warnings} onUsage={nothing} />);

  it("is quiet where there is nothing to say", () => {
    expect(notice([])).toBe('<div role="status" class="notices"></div>');
  });

  it("says how full a budget is, and what is not counted", () => {
    const html = notice([
      { name: "day", kind: "tokens", percent: 85, resetsAt: "2026-11-27T00:00:00Z" },
      { name: "soft", kind: "money", percent: null, resetsAt: null },
    ]);
    expect(html).toContain("85% of the tokens of budget “day” are used.");
    expect(html).toContain("“soft”: the price of this model is not known");
    expect(html).toContain('aria-label="Close the notice"');
    // Said when there is time for it, and not over what is being read.
    expect(html).not.toContain('role="alert"');
  });
});
