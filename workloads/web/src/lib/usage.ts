import {
  KINDS,
  type BudgetState,
  type By,
  type Kind,
  type UsageTotal,
} from "../api/usageTypes";
import { valueOf } from "./amounts";

/** How a budget stands: what is to be done about it. */
export type Standing = "ok" | "warning" | "stop";

/** The stretches of time that usage is shown of. */
export const RANGES = ["today", "month", "lastMonth", "days30", "months12"] as const;
export type Range = (typeof RANGES)[number];

/** What is drawn of usage. */
export type Measure = Kind;

/** First and last day in UTC, and what a bar of it is. */
export interface Days {
  from: string;
  to: string;
  by: Extract<By, "day" | "month">;
}

/** Usage of a day, month, model or person, whatever currencies it has. */
export interface Used {
  key: string;
  provider: string | null;
  requests: number;
  inputTokens: number;
  outputTokens: number;
  estimated: number;
  unpriced: number;
  /** Millionths by currency. */
  money: ReadonlyMap<string, number>;
}

/** A budget stops when nothing is left of one of its limits. */
export function standingOf(budget: BudgetState): Standing {
  const isEmpty = KINDS.some((kind) => {
    const left = budget.left[kind];
    return left !== undefined && valueOf(left) === 0;
  });
  if (isEmpty) return "stop";
  return budget.percent >= budget.warn_at_percent ? "warning" : "ok";
}

/** The worst first; of those alike the fullest. */
export function byUrgency(budgets: readonly BudgetState[]): BudgetState[] {
  const order: Standing[] = ["stop", "warning", "ok"];
  const rank = (budget: BudgetState) => order.indexOf(standingOf(budget));
  return [...budgets].sort((a, b) => rank(a) - rank(b) || b.percent - a.percent);
}

/** How full a limit is, in percent from 0 to 100. */
export function percentOf(budget: BudgetState, kind: Kind): number {
  const [used, limit] = [budget.used[kind], budget.limits[kind]];
  if (used === undefined || limit === undefined) return 0;
  const whole = valueOf(limit);
  return whole === 0 ? 100 : Math.min(100, Math.max(0, (valueOf(used) / whole) * 100));
}

/** The days of a range that ends today or with a month. */
export function daysOf(range: Range, now: Date): Days {
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  const text = (month: number, day: number) =>
    new Date(Date.UTC(year, month, day)).toISOString().slice(0, 10);
  const today = text(month, day);
  switch (range) {
    case "today":
      return { from: today, to: today, by: "day" };
    case "month":
      return { from: text(month, 1), to: today, by: "day" };
    case "lastMonth":
      return { from: text(month - 1, 1), to: text(month, 0), by: "day" };
    case "days30":
      return { from: text(month, day - 29), to: today, by: "day" };
    case "months12":
      return { from: text(month - 11, 1), to: today, by: "month" };
  }
}

const NOTHING: Omit<Used, "key" | "provider"> = {
  requests: 0,
  inputTokens: 0,
  outputTokens: 0,
  estimated: 0,
  unpriced: 0,
  money: new Map(),
};

function plus(used: Used, total: UsageTotal): Used {
  const money = new Map(used.money);
  if (total.micros > 0) {
    money.set(total.currency, (money.get(total.currency) ?? 0) + total.micros);
  }
  return {
    ...used,
    requests: used.requests + total.requests,
    inputTokens: used.inputTokens + total.input_tokens,
    outputTokens: used.outputTokens + total.output_tokens,
    estimated: used.estimated + total.estimated_requests,
    unpriced: used.unpriced + total.unpriced_requests,
    money,
  };
}

/** The same, with what differs in nothing but the currency put together. */
export function together(totals: readonly UsageTotal[]): Used[] {
  const all = new Map<string, Used>();
  for (const total of totals) {
    const { key, provider } = total;
    const id = (provider ?? "") + "\n" + key;
    all.set(id, plus(all.get(id) ?? { key, provider, ...NOTHING }, total));
  }
  return [...all.values()];
}

/** All of it in one. */
export function sumOf(totals: readonly UsageTotal[]): Used {
  return totals.reduce(plus, { key: "", provider: null, ...NOTHING });
}

/** Every day or month from the first to the last, oldest first, also those without usage. */
export function series(totals: readonly UsageTotal[], { from, to, by }: Days): Used[] {
  const known = new Map(together(totals).map((used) => [used.key, used]));
  const keys: string[] = [];
  const length = by === "day" ? 10 : 7;
  const at = new Date(from + "T00:00:00Z");
  for (let key = from.slice(0, length); key <= to.slice(0, length); ) {
    keys.push(key);
    if (by === "day") at.setUTCDate(at.getUTCDate() + 1);
    else at.setUTCMonth(at.getUTCMonth() + 1, 1);
    key = at.toISOString().slice(0, length);
  }
  return keys.map((key) => known.get(key) ?? { key, provider: null, ...NOTHING });
}

/** The currency of which there is most; empty where there is no money. */
export function mainCurrency(used: Used): string {
  const entries = [...used.money].sort(([, a], [, b]) => b - a);
  return entries[0]?.[0] ?? "";
}

/** What a bar stands for: a count, or millionths of `currency`. */
export function measured(used: Used, measure: Measure, currency: string): number {
  switch (measure) {
    case "requests":
      return used.requests;
    case "tokens":
      return used.inputTokens + used.outputTokens;
    case "money":
      return used.money.get(currency) ?? 0;
  }
}
