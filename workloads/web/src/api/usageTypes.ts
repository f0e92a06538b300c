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

/** What usage can be added up by. */
export type By = "day" | "month" | "model" | "subject";

/** A sum of usage; those of different currencies are never added up. */
export interface UsageTotal {
  /** The day, month, model or person; empty for a model that is not known. */
  key: string;
  /** Of the model; null where models are not told apart. */
  provider: string | null;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  /** Questions whose tokens are a guess on the high side. */
  estimated_requests: number;
  /** Questions whose price is not known: they are missing in `micros`. */
  unpriced_requests: number;
  micros: number;
  currency: string;
}

/** What a money budget does about a question without a known price. */
export type UnknownPrice = "Refuse" | "Warn";

/** A budget as it was set. */
export interface BudgetRule {
  name: string;
  scope: BudgetScope;
  /** For whom of them; each of them when it is empty. */
  names: string[];
  per: Period;
  limits: Amounts;
  unknown_price: UnknownPrice;
  warn_at_percent: number;
  /** Those of the platform's resource are changed there alone. */
  source: "Resource" | "Administrator";
  active: boolean;
}

/** What a budget is to allow, and for whom. */
export interface BudgetChange {
  names: string[];
  requests?: number;
  tokens?: number;
  /** A decimal number in the currency of the prices. */
  money?: string;
  unknown_price: UnknownPrice;
  warn_at_percent: number;
}

/** A budget that is to be made. */
export interface BudgetRequest extends BudgetChange {
  name: string;
  scope: BudgetScope;
  per: Period;
}
