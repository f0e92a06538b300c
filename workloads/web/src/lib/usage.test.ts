import { describe, expect, it } from "vitest";
import type { BudgetState, UsageTotal } from "../api/usageTypes";
import {
  byUrgency,
  daysOf,
  mainCurrency,
  measured,
  percentOf,
  series,
  standingOf,
  sumOf,
  together,
  type Range,
} from "./usage";

const budget = (used: number, part: Partial<BudgetState> = {}): BudgetState => ({
  name: "day",
  scope: "User",
  subject: "ana",
  per: "Day",
  resets_at: "2026-11-27T00:00:00Z",
  warn_at_percent: 80,
  percent: used,
  unpriced_requests: 0,
  limits: { requests: 100 },
  used: { requests: used },
  left: { requests: Math.max(0, 100 - used) },
  ...part,
});

const total = (key: string, part: Partial<UsageTotal> = {}): UsageTotal => ({
  key,
  provider: null,
  requests: 1,
  input_tokens: 10,
  output_tokens: 2,
  estimated_requests: 0,
  unpriced_requests: 0,
  micros: 5,
  currency: "EUR",
  ...part,
});

describe("a budget", () => {
  it("warns from its own mark on and stops when nothing is left", () => {
    const standing = (used: number) => standingOf(budget(used));
    expect([0, 79, 80, 99, 100, 140].map(standing)).toEqual([
      "ok",
      "ok",
      "warning",
      "warning",
      "stop",
      "stop",
    ]);
    expect(standingOf(budget(79, { warn_at_percent: 50 }))).toBe("warning");
  });

  it("stops with the first of its limits", () => {
    const left = { requests: 50, tokens: 0 };
    expect(standingOf(budget(50, { left }))).toBe("stop");
    const money = { micros: 0, amount: "0", currency: "EUR", decimals: 6 };
    expect(standingOf(budget(50, { left: { requests: 50, money } }))).toBe("stop");
  });

  it("is as full as can be drawn", () => {
    expect(percentOf(budget(25), "requests")).toBe(25);
    expect(percentOf(budget(250), "requests")).toBe(100);
    expect(percentOf(budget(25), "tokens")).toBe(0);
  });

  it("stands before others that are less pressing", () => {
    const all = [10, 100, 85, 90].map((used) => budget(used));
    expect(byUrgency(all).map((it) => it.percent)).toEqual([100, 90, 85, 10]);
  });
});

describe("a range of days", () => {
  it.each<[Range, string, string, string]>([
    ["today", "2026-03-01T00:30:00Z", "2026-03-01", "2026-03-01"],
    ["month", "2026-03-05T12:00:00Z", "2026-03-01", "2026-03-05"],
    ["lastMonth", "2026-03-05T12:00:00Z", "2026-02-01", "2026-02-28"],
    ["lastMonth", "2026-01-31T12:00:00Z", "2025-12-01", "2025-12-31"],
    ["days30", "2026-11-26T12:00:00Z", "2026-10-28", "2026-11-26"],
    ["months12", "2026-11-26T12:00:00Z", "2025-12-01", "2026-11-26"],
  ])("%s on %s", (range, now, from, to) => {
    expect(daysOf(range, new Date(now))).toMatchObject({ from, to });
  });

  it("is never longer than the gateway takes", () => {
    for (const now of ["2026-01-31T23:59:59Z", "2028-02-29T12:00:00Z", "2028-12-31T12:00:00Z"]) {
      const { from, to } = daysOf("months12", new Date(now));
      const days = (Date.parse(to) - Date.parse(from)) / 86_400_000 + 1;
      expect(days, now).toBeLessThanOrEqual(366);
    }
  });
});

describe("usage", () => {
  it("has a bar for every day, the oldest first, also for those without any", () => {
    const days = { from: "2026-02-27", to: "2026-03-02", by: "day" } as const;
    const bars = series([total("2026-03-01"), total("2026-02-27", { requests: 7 })], days);
    expect(bars.map(({ key, requests }) => [key, requests])).toEqual([
      ["2026-02-27", 7],
      ["2026-02-28", 0],
      ["2026-03-01", 1],
      ["2026-03-02", 0],
    ]);
  });

  it("has a bar for every month", () => {
    const months = { from: "2025-12-01", to: "2026-02-28", by: "month" } as const;
    const bars = series([total("2026-02")], months);
    expect(bars.map(({ key, requests }) => key + " " + requests)).toEqual([
      "2025-12 0",
      "2026-01 0",
      "2026-02 1",
    ]);
  });

  it("counts across currencies and adds up no money of different ones", () => {
    const all = together([
      total("gpt", { provider: "openai" }),
      total("gpt", { provider: "openai", currency: "USD", micros: 50 }),
      total("gpt", { provider: "other", micros: 0 }),
    ]);
    expect(all.map(({ provider, requests }) => [provider, requests])).toEqual([
      ["openai", 2],
      ["other", 1],
    ]);
    expect([...(all[0]?.money ?? [])]).toEqual([
      ["EUR", 5],
      ["USD", 50],
    ]);
    expect(all[1]?.money.size).toBe(0);
  });

  it("is measured in what is asked for", () => {
    const sum = sumOf([total("a"), total("b", { unpriced_requests: 1, estimated_requests: 1 })]);
    expect(sum).toMatchObject({ requests: 2, unpriced: 1, estimated: 1 });
    expect(mainCurrency(sum)).toBe("EUR");
    expect(measured(sum, "requests", "EUR")).toBe(2);
    expect(measured(sum, "tokens", "EUR")).toBe(24);
    expect(measured(sum, "money", "EUR")).toBe(10);
    expect(measured(sum, "money", "USD")).toBe(0);
    expect(mainCurrency(sumOf([]))).toBe("");
  });
});
