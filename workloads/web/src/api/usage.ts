import { json, request, write } from "./http";
import type { Page } from "./types";
import type {
  BudgetChange,
  BudgetRequest,
  BudgetRule,
  BudgetState,
  By,
  UsageTotal,
} from "./usageTypes";

const RULES = "/api/admin/budgets";

/** Days in UTC, both of them included, and whose usage. */
export interface Span {
  from: string;
  to: string;
  /** Everybody's, for administrators. */
  all: boolean;
}

/** What was used, and what may be. */
export const usage = {
  /** The budgets that the person's questions count in: one page, for nobody has that many. */
  budgets: () => json<Page<BudgetState>>("/api/budgets?limit=200"),
  /** Everybody's of which something is used, for administrators. */
  everybodysBudgets: (cursor?: string) =>
    json<Page<BudgetState>>(
      "/api/budgets?all=true&limit=50" + (cursor ? "&cursor=" + encodeURIComponent(cursor) : ""),
    ),
  totals,
  /** All pages of them: there are few days and months. */
  everyTotal: async (by: By, span: Span) => {
    const items: UsageTotal[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<UsageTotal> = await totals(by, span, cursor);
      items.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null);
    return items;
  },
  /** All budgets as they were set, for administrators: one page. */
  rules: () => json<Page<BudgetRule>>(RULES),
  makeRule: (wanted: BudgetRequest) => json<BudgetRule>(RULES, write("POST", wanted)),
  alterRule: (name: string, wanted: BudgetChange) =>
    json<BudgetRule>(pathOf(name), write("PUT", wanted)),
  removeRule: (name: string) => request(pathOf(name), { method: "DELETE" }),
};

/** A page of sums, those of the most tokens first where they are not of a time. */
function totals(by: By, { from, to, all }: Span, cursor: string | null = null) {
  return json<Page<UsageTotal>>(
    `/api/usage/totals?by=${by}&from=${from}&to=${to}` +
      (all ? "&all=true" : "") +
      (cursor === null ? "" : "&cursor=" + encodeURIComponent(cursor)),
  );
}

function pathOf(name: string): string {
  return RULES + "/" + encodeURIComponent(name);
}
