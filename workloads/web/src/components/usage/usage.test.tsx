import type { ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../api/http";
import type { BudgetRule, BudgetState, UsageTotal } from "../../api/usageTypes";
import { I18nProvider } from "../../i18n/context";
import type { Language } from "../../i18n/dictionary";
import { BudgetCard } from "./BudgetCard";
import { OwnList } from "./Budgets";
import { heightOf } from "./Chart";
import { Loading } from "./Loading";
import { EMPTY_RULE } from "../../lib/rules";
import { RuleForm } from "./RuleForm";
import { RuleRow } from "./Rules";
import { Picture, type Sums } from "./Spent";
import { Usage } from "./Usage";

let language: Language = "en";
const nothing = () => undefined;

function seen(node: ReactNode): string {
  return renderToStaticMarkup(<I18nProvider>{node}</I18nProvider>);
}

beforeEach(() => {
  language = "en";
  vi.stubGlobal("localStorage", { getItem: () => language });
  vi.stubGlobal("navigator", { languages: [] });
});
afterEach(() => vi.unstubAllGlobals());

const money = (micros: number) => ({ micros, amount: "", currency: "EUR", decimals: 6 });
const budget: BudgetState = {
  name: "day",
  scope: "User",
  subject: "ana",
  per: "Day",
  resets_at: "2026-11-27T00:00:00Z",
  warn_at_percent: 80,
  percent: 40,
  unpriced_requests: 0,
  limits: { requests: 100, money: money(5_000_000) },
  used: { requests: 40, money: money(1_000_000) },
  left: { requests: 60, money: money(4_000_000) },
};

describe("a budget", () => {
  const card = (part: Partial<BudgetState> = {}, isAll = false) =>
    seen(<BudgetCard budget={{ ...budget, ...part }} isAll={isAll} />);

  it("is a picture that says in words what it shows", () => {
    const html = card();
    expect(html).toContain("Your budget “day”");
    expect(html).toContain("<span>40 of 100 requests a day</span> <strong>60 requests left</strong>");
    expect(html).toContain("<span>€1.00 of €5.00 a day</span> <strong>€4.00 left</strong>");
    expect(html.match(/role="meter"/g)).toHaveLength(2);
    expect(html).toContain('aria-valuenow="40"');
    expect(html).toContain('aria-valuetext="40 of 100 requests a day. 60 requests left"');
    expect(html).toContain("It begins anew on ");
    // What is not limited is not shown.
    expect(html).not.toContain("tokens");
  });

  it("counts one that is left as people do", () => {
    const one = { left: { requests: 1, money: money(2_000_000) } };
    expect(card(one)).toContain("<strong>1 request left</strong>");
    language = "es";
    expect(card(one)).toContain("<strong>queda 1 pregunta</strong>");
    expect(card()).toContain("<strong>quedan 60 preguntas</strong>");
  });

  it("says that it is nearly used up, or used up, by more than a colour", () => {
    expect(card()).toContain('data-standing="ok"');
    const nearly = card({ percent: 85 });
    expect(nearly).toContain('data-standing="warning"');
    expect(nearly).toContain("nearly used up");
    const stop = card({ percent: 100, left: { requests: 0, money: money(1) } });
    expect(stop).toContain('data-standing="stop"');
    expect(stop).toContain("</span>used up");
  });

  it("draws without styles in the page, which forbids them", () => {
    expect(card({ percent: 85 })).not.toContain("style=");
    expect(card()).toContain('class="meter-fill" width="40"');
  });

  it("says whose it is where it may be somebody else's", () => {
    expect(card({}, true)).toContain("The budget “day” of user ana");
    expect(card({ scope: "Platform", subject: null })).toContain("of the whole platform");
  });

  it("says that some money is not known", () => {
    expect(card()).not.toContain("without a known price");
    expect(card({ unpriced_requests: 3 })).toContain("without a known price");
  });

  it("is not what limits everybody", () => {
    expect(seen(<OwnList budgets={[]} />)).toContain("No budget limits your questions.");
    expect(seen(<OwnList budgets={[budget]} />)).not.toContain("No budget");
  });
});

const total = (key: string, part: Partial<UsageTotal> = {}): UsageTotal => ({
  key,
  provider: null,
  requests: 2,
  input_tokens: 900,
  output_tokens: 100,
  estimated_requests: 0,
  unpriced_requests: 0,
  micros: 2_500_000,
  currency: "EUR",
  ...part,
});
const pageOf = (items: UsageTotal[], next_cursor: string | null = null) => ({ items, next_cursor });
const sums: Sums = {
  all: false,
  days: { from: "2026-11-01", to: "2026-11-03", by: "day" },
  overTime: [total("2026-11-03"), total("2026-11-01", { requests: 1 })],
  models: pageOf([total("gpt", { provider: "openai", requests: 1 }), total("", { provider: "" })]),
  people: pageOf([]),
};

describe("what was used", () => {
  const picture = (part: Partial<Sums> = {}, measure: "requests" | "tokens" | "money" = "tokens") =>
    seen(<Picture sums={{ ...sums, ...part }} measure={measure} onError={nothing} />);

  it("is added up", () => {
    const html = picture();
    expect(html).toContain('data-testid="usage-requests">3 requests<');
    expect(html).toContain("2,000 tokens");
    expect(html).toContain("1,800 tokens read, 200 tokens written");
    expect(html).toContain("€5.00");
  });

  it("has a bar for every day, and its figures in a sentence and a table", () => {
    const html = picture({}, "requests");
    expect(html.match(/<title>/g)).toHaveLength(3);
    expect(html).toContain("<title>Nov 2: 0 requests</title>");
    expect(html).toContain("requests from Nov 1 to Nov 3; most on Nov 3: 2 requests.");
    expect(html.match(/<th scope="row">/g)).toHaveLength(2);
    expect(html).toContain('role="region" aria-label="Figures as a table" tabindex="0"');
    expect(html).not.toContain("style=");
  });

  it("is shown by model, the most used first, also where that is not known", () => {
    const html = picture({}, "requests");
    expect(html.indexOf("Model not known")).toBeLessThan(html.indexOf("gpt (openai)"));
    expect(html).not.toContain("By person");
    expect(picture({ people: pageOf([total("ana")]) })).toContain("By person");
  });

  it("says where there is more than is shown, and offers it", () => {
    const people = (next: string | null) =>
      picture({ all: true, people: pageOf([total("ana")], next) });
    expect(people("more")).toContain('data-testid="usage-people-more"');
    expect(people("more")).toContain("Those with the most tokens are shown.");
    expect(people("more")).not.toContain('data-testid="usage-models-more"');
    expect(people(null)).not.toContain("Those with the most tokens");
    expect(picture({ models: pageOf([total("gpt")], "more") })).toContain(
      'data-testid="usage-models-more"',
    );
    language = "es";
    expect(people("more")).toContain("Se muestran los de más tokens.");
  });

  it("calls money unknown that is not known, and never nothing", () => {
    const overTime = [total("2026-11-01", { unpriced_requests: 2, micros: 0, currency: "" })];
    const html = picture({ overTime }, "money");
    expect(html).toContain("<dd>unknown</dd>");
    expect(html).toContain("No model that was used has a price.");
    expect(html).not.toContain("<svg");
    expect(picture({}, "money")).not.toContain("unknown<");
  });

  it("draws one currency and says so", () => {
    const overTime = [...sums.overTime, total("2026-11-02", { currency: "USD", micros: 10 })];
    expect(picture({ overTime }, "money")).toContain("The bars show EUR alone");
    expect(picture({}, "money")).not.toContain("The bars show");
  });

  it("is nothing", () => {
    expect(picture({ overTime: [] })).toContain("Nothing was used in this time.");
  });

  it("is seen however little it is", () => {
    expect(heightOf(0, 100)).toBe(0);
    expect(heightOf(0, 0)).toBe(0);
    expect(heightOf(1, 1_000_000)).toBe(1.5);
    expect(heightOf(7, 7)).toBe(100);
  });
});

describe("a budget as it was set", () => {
  const rule: BudgetRule = {
    name: "day",
    scope: "Group",
    names: ["hr", "it"],
    per: "Day",
    limits: { requests: 100, money: money(5_000_000) },
    unknown_price: "Refuse",
    warn_at_percent: 80,
    source: "Administrator",
    active: true,
  };
  const done = () => Promise.resolve();
  const row = (part: Partial<BudgetRule> = {}) =>
    seen(<RuleRow of={{ ...rule, ...part }} onRemove={done} onSend={done} />);

  it("says for whom it is and what it allows", () => {
    const html = row();
    expect(html).toContain("Each group (hr, it) · 100 requests a day · €5.00 a day");
    expect(html).toContain("warns at 80%");
    expect(html).not.toContain("does not hold");
    expect(row({ active: false })).toContain("does not hold");
  });

  it("is altered and removed where an administrator made it, and nowhere else", () => {
    expect(row()).toContain('aria-label="Alter budget day"');
    expect(row()).toContain('aria-label="Remove budget day"');
    // Only after a question.
    expect(row()).not.toContain('data-testid="confirm"');
    expect(row({ source: "Resource" })).not.toContain("<button");
  });

  it("is made with a form in which every field has its label", () => {
    const html = (isNew: boolean) =>
      seen(<RuleForm initial={EMPTY_RULE} isNew={isNew} onSend={done} />);
    const ids = (text: string, pattern: RegExp) =>
      [...text.matchAll(pattern)].map((match) => match[1]).sort();
    const fields = ids(html(true), /<(?:input|select|textarea) id="([^"]+)"/g);
    expect(fields).toHaveLength(8);
    expect(ids(html(true), /<label for="([^"]+)"/g)).toEqual(fields);
    for (const described of ids(html(true), /aria-describedby="([^"]+)"/g)) {
      expect(html(true)).toContain(`id="${described}"`);
    }
    // What a budget is cannot be altered.
    expect(html(false)).not.toContain('data-testid="rule-name"');
    expect(html(false)).not.toContain('data-testid="rule-per"');
    expect(html(false)).toContain('data-testid="rule-requests"');
  });
});

describe("what is read", () => {
  const loading = (value: string | null, error: unknown) =>
    seen(
      <Loading of={{ value, error, isReading: false, reload: nothing }}>
        {(value) => <b>{value}</b>}
      </Loading>,
    );

  it("says why it could not be, and stays when it was before", () => {
    const down = new ApiError(503, "storage_down", "the database is away");
    expect(loading(null, null)).toContain("Loading…");
    const failed = loading(null, down);
    expect(failed).toContain("the database is away");
    expect(failed).toContain("Try again");
    expect(failed).not.toContain("Loading");
    const old = loading("old", down);
    expect(old).toContain("<b>old</b>");
    expect(old).toContain("the database is away");
  });
});

describe("the page", () => {
  const page = (admin: boolean) =>
    seen(
      <Usage
        me={{ subject: "a", name: "ana", groups: [], admin }}
        back="/"
        onClose={nothing}
        onError={nothing}
      />,
    );

  it("shows others to administrators only", () => {
    expect(page(false)).not.toContain('data-testid="usage-whose"');
    expect(page(true)).toContain('data-testid="usage-whose"');
  });

  it("speaks the language of its reader and labels what can be chosen", () => {
    language = "es";
    const html = page(true);
    for (const text of ["Uso", "Lo que queda", "Lo que he usado", "Últimos 30 días"]) {
      expect(html).toContain(`>${text}<`);
    }
    const labelled = [...html.matchAll(/<label for="([^"]+)"/g)].map((match) => match[1]);
    const chosen = [...html.matchAll(/<select id="([^"]+)"/g)].map((match) => match[1]);
    expect(labelled).toEqual(chosen);
    expect(html.match(/<legend/g)).toHaveLength(2);
  });
});
