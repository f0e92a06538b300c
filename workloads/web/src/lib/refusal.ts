import type { Amount, BudgetScope, Kind, Period, Refusal } from "../api/usageTypes";
import type { Language, Translate } from "../i18n/dictionary";
import { formOf } from "./amounts";

/** How things are said here and now. */
export interface Words {
  language: Language;
  t: Translate;
  amount(kind: Kind, amount: Amount): string;
  /** When an RFC 3339 text is, and how long it is until then. */
  moment(text: string): string;
  until(text: string): string;
}

/** Whose a budget is: it is called by that and by its name. */
export function budgetTitle(
  { t }: Pick<Words, "t">,
  budget: { name: string; scope: BudgetScope; subject: string | null },
): string {
  return t(`budget.of.${budget.scope}`, { name: budget.name, subject: budget.subject ?? "" });
}

/** `20,000 tokens a day`. */
export function limitText(
  { t, amount }: Pick<Words, "t" | "amount">,
  kind: Kind,
  limit: Amount,
  per: Period,
): string {
  return t(`budget.per.${per}`, { amount: amount(kind, limit) });
}

/** Why a question was refused, how much is left, and when there is more. */
export function refusalText(words: Words, refusal: Refusal): string {
  const { language, t, amount, moment, until } = words;
  const { kind, limit, per, resets_at } = refusal;
  const budget = budgetTitle(words, refusal);
  const allowed = limitText(words, kind, limit, per);
  const left = minus(limit, refusal.used);
  const why = isNone(left)
    ? t("stop.empty", { budget, limit: allowed })
    : t(`stop.small.${formOf(language, left)}`, {
        budget,
        limit: allowed,
        left: amount(kind, left),
        needed: amount(kind, refusal.needed),
      });
  return why + " " + t("stop.resets", { when: moment(resets_at), until: until(resets_at) });
}

function minus(limit: Amount, used: Amount): Amount {
  if (typeof limit === "number" || typeof used === "number") {
    return Math.max(0, Number(limit) - Number(used));
  }
  return { ...limit, micros: Math.max(0, limit.micros - used.micros) };
}

function isNone(amount: Amount): boolean {
  return typeof amount === "number" ? amount === 0 : amount.micros === 0;
}
