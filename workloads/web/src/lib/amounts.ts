import type { Amount, Kind } from "../api/usageTypes";
import type { Language, Translate } from "../i18n/dictionary";

const MICROS = 1_000_000;
const CURRENCY = /^[A-Z]{3}$/;
/** Below this, an amount of money is shown with all of its decimals. */
const SMALL = 0.01;

/** A count, or units of the currency. */
export function valueOf(amount: Amount): number {
  return typeof amount === "number" ? amount : amount.micros / MICROS;
}

/** Millionths of a currency's unit, as people write money. */
export function moneyText(language: Language, micros: number, currency: string): string {
  const value = micros / MICROS;
  const decimals = value !== 0 && Math.abs(value) < SMALL ? 6 : 2;
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: decimals };
  // Without prices there is no currency, and what is not its code would throw.
  if (!CURRENCY.test(currency)) {
    return new Intl.NumberFormat(language, digits).format(value);
  }
  return new Intl.NumberFormat(language, { style: "currency", currency, ...digits }).format(value);
}

/** The form of a text that tells so much: of one, or of any other amount. */
export function formOf(language: Language, amount: Amount): "one" | "other" {
  return new Intl.PluralRules(language).select(valueOf(amount)) === "one" ? "one" : "other";
}

/** An amount with what it counts: `1 request`, `2,000 tokens`, `€3.50`. */
export function amountText(
  language: Language,
  t: Translate,
  kind: Kind,
  amount: Amount,
): string {
  if (typeof amount !== "number") return moneyText(language, amount.micros, amount.currency);
  const count = new Intl.NumberFormat(language).format(amount);
  if (kind === "money") return count;
  return t(`amount.${kind}.${formOf(language, amount)}`, { count });
}

/** An amount without what it counts, to stand before another of the same. */
export function bareText(language: Language, amount: Amount): string {
  return typeof amount === "number"
    ? new Intl.NumberFormat(language).format(amount)
    : moneyText(language, amount.micros, amount.currency);
}

/** A day (`2026-11-26`) or month (`2026-11`) of UTC, short enough to stand below a bar. */
export function dayText(language: Language, key: string): string {
  const isMonth = key.length === 7;
  const format = isMonth
    ? ({ month: "short", year: "numeric" } as const)
    : ({ day: "numeric", month: "short" } as const);
  const at = new Date(isMonth ? key + "-01" : key);
  return new Intl.DateTimeFormat(language, { timeZone: "UTC", ...format }).format(at);
}

/** As few characters as a bar has room for: `1.2M`, `35K`. */
export function shortNumber(language: Language, value: number): string {
  const format = { notation: "compact", maximumFractionDigits: 1 } as const;
  return new Intl.NumberFormat(language, format).format(value);
}

type Unit = readonly [Intl.RelativeTimeFormatUnit, number];
const SECOND: Unit = ["second", 1];
const UNITS: Unit[] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** How long it is until an RFC 3339 text: `in 3 days`. What is over is now. */
export function untilText(language: Language, text: string, now: number): string {
  const seconds = Math.max(0, Math.round((Date.parse(text) - now) / 1000));
  const format = new Intl.RelativeTimeFormat(language, { numeric: "always" });
  // Not the next unit before there are two of it: in 40 hours says more than in 2 days.
  const [unit, length] = UNITS.find(([, length]) => seconds >= 2 * length) ?? SECOND;
  return format.format(Math.round(seconds / length), unit);
}
