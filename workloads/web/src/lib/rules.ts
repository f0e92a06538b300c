import type {
  BudgetChange,
  BudgetRequest,
  BudgetRule,
  BudgetScope,
  Period,
  UnknownPrice,
} from "../api/usageTypes";

/** What the form for a budget holds, as it is typed. */
export interface RuleForm {
  name: string;
  scope: BudgetScope;
  per: Period;
  /** One on a line. */
  names: string;
  requests: string;
  tokens: string;
  money: string;
  unknownPrice: UnknownPrice;
  warnAt: string;
}

export const EMPTY_RULE: RuleForm = {
  name: "",
  scope: "User",
  per: "Day",
  names: "",
  requests: "",
  tokens: "",
  money: "",
  unknownPrice: "Refuse",
  warnAt: "80",
};

/** What can be wrong with the form. */
export type RuleFault =
  | "name"
  | "names"
  | "requests"
  | "tokens"
  | "money"
  | "moneyUnclear"
  | "limits"
  | "warnAt";

const NAME = /^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/;
const MONEY = /^[0-9]{1,9}(\.[0-9]{1,6})?$/;
/** A separator of thousands for half of the world, and three decimals for the other half. */
const UNCLEAR = /^[1-9][0-9]{0,2}[.,][0-9]{3}$/;
/** No separators: `1.000` is a thousand for many. */
const COUNT = /^[0-9]+$/;
const MOST_NAMES = 100;
const MOST_COUNT = 1_000_000_000_000;
const MOST_PERCENT = 100;

function namesOf(text: string): string[] {
  const names = text.split("\n").map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ""))];
}

/** A comma is a point: so people write money in half of the world. */
function moneyOf(text: string): string {
  return text.trim().replace(",", ".");
}

function isCount(text: string, most = MOST_COUNT): boolean {
  const count = Number(text);
  return COUNT.test(text.trim()) && count >= 1 && count <= most;
}

/** The two ways to write an amount of money that can be read in two ways, so that it cannot. */
export function waysToWrite(money: string) {
  const text = money.trim();
  return { money: text, whole: text.replace(/[.,]/, ""), decimals: text + "0" };
}

/** The first thing that must be filled in otherwise; null when the form can be sent. */
export function ruleFault(form: RuleForm): RuleFault | null {
  const given = (text: string) => text.trim() !== "";
  if (!NAME.test(form.name.trim())) return "name";
  if (namesOf(form.names).length > MOST_NAMES) return "names";
  if (given(form.requests) && !isCount(form.requests)) return "requests";
  if (given(form.tokens) && !isCount(form.tokens)) return "tokens";
  if (UNCLEAR.test(form.money.trim())) return "moneyUnclear";
  if (given(form.money) && !MONEY.test(moneyOf(form.money))) return "money";
  if (![form.requests, form.tokens, form.money].some(given)) return "limits";
  return isCount(form.warnAt, MOST_PERCENT) ? null : "warnAt";
}

/** What an altered budget is to allow. */
export function toChange(form: RuleForm): BudgetChange {
  return {
    // Everybody together has no names.
    names: form.scope === "Platform" ? [] : namesOf(form.names),
    ...(form.requests.trim() && { requests: Number(form.requests) }),
    ...(form.tokens.trim() && { tokens: Number(form.tokens) }),
    ...(form.money.trim() && { money: moneyOf(form.money) }),
    unknown_price: form.unknownPrice,
    warn_at_percent: Number(form.warnAt),
  };
}

export function toNewRule(form: RuleForm): BudgetRequest {
  const { scope, per } = form;
  return { name: form.name.trim(), scope, per, ...toChange(form) };
}

/** The form of a budget as it is. */
export function formOf(rule: BudgetRule): RuleForm {
  const { limits } = rule;
  return {
    name: rule.name,
    scope: rule.scope,
    per: rule.per,
    names: rule.names.join("\n"),
    requests: limits.requests === undefined ? "" : String(limits.requests),
    tokens: limits.tokens === undefined ? "" : String(limits.tokens),
    money: limits.money === undefined ? "" : shortest(limits.money.amount),
    unknownPrice: rule.unknown_price,
    warnAt: String(rule.warn_at_percent),
  };
}

/** A decimal number without zeros that say nothing, but with one that keeps it clear. */
function shortest(amount: string): string {
  const text = amount.includes(".") ? amount.replace(/\.?0+$/, "") : amount;
  return UNCLEAR.test(text) ? waysToWrite(text).decimals : text;
}
