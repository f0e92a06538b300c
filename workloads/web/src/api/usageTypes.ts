/** The shapes of the gateway's API around budgets and usage. */

/** What a budget can limit, in the order in which it is shown. */
export const KINDS = ["requests", "tokens", "money"] as const;
export type Kind = (typeof KINDS)[number];

/** Whom a budget is for: everybody together, or each of them by itself. */
export const SCOPES_OF_BUDGETS = ["Platform", "Group", "User", "APIKey"] as const;
export type BudgetScope = (typeof SCOPES_OF_BUDGETS)[number];

/** How long a budget counts before it begins anew, in UTC. */
export const PERIODS = ["Minute", "Day", "Month"] as const;
export type Period = (typeof PERIODS)[number];

/** Money in whole millionths; `amount` is the same as a decimal number. */
export interface Money {
  micros: number;
  amount: string;
  /** ISO 4217 code; empty without prices. */
  currency: string;
  decimals: number;
}

/** A count, or money. */
export type Amount = number | Money;

/** What is limited, and nothing else. */
export interface Amounts {
  requests?: number;
  tokens?: number;
  money?: Money;
}

/** A budget with what is used and left of it. */
export interface BudgetState {
  name: string;
  scope: BudgetScope;
  /** For whom of them; null for the platform. */
  subject: string | null;
  per: Period;
  resets_at: string;
  warn_at_percent: number;
  /** How full its fullest limit is. */
  percent: number;
  /** Questions whose price is not known: their money is missing in what is used. */
  unpriced_requests: number;
  limits: Amounts;
  used: Amounts;
  left: Amounts;
}

/** Why a question was refused: the budget that it did not fit under. */
export interface Refusal {
  name: string;
  scope: BudgetScope;
  /** Empty for the platform. */
  subject: string;
  per: Period;
  kind: Kind;
  limit: Amount;
  used: Amount;
  needed: Amount;
  resets_at: string;
}

/** A budget that is nearly used up, as a header of an answer says. */
export interface Warning {
  name: string;
  kind: Kind;
  /** How full it is; null where a price is not known. */
  percent: number | null;
  resetsAt: string | null;
}
