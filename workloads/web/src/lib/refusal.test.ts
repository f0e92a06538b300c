import { describe, expect, it } from "vitest";
import type { Refusal } from "../api/usageTypes";
import { translate, type Language } from "../i18n/dictionary";
import { amountText } from "./amounts";
import { refusalText, type Words } from "./refusal";

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

function said(part: Partial<Refusal>, language: Language = "en"): string {
  const t: Words["t"] = (key, values) => translate(language, key, values);
  const words: Words = {
    language,
    t,
    amount: (kind, amount) => amountText(language, t, kind, amount),
    moment: (text) => `<${text}>`,
    until: () => "<in a while>",
  };
  return refusalText(words, { ...refusal, ...part });
}

describe("a refused question", () => {
  it("is told which budget is used up and when there is more", () => {
    expect(said({})).toBe(
      "Your budget “day” is used up: 10 requests a day. " +
        "It begins anew on <2026-11-27T00:00:00Z>, <in a while>.",
    );
  });

  it("is told what is left where it is too long for that", () => {
    const text = said({ kind: "tokens", limit: 1000, used: 400, needed: 2100 });
    expect(text).toContain("This question may need 2,100 tokens");
    expect(text).toContain("600 tokens are left");
    expect(text).toContain("1,000 tokens a day");
    expect(text).not.toContain("used up");
  });

  it("is told of one that is left as people do", () => {
    const one = { limit: 10, used: 9, needed: 2 };
    expect(said(one)).toContain("1 request is left");
    expect(said(one, "es")).toContain("queda 1 pregunta");
    expect(said({ ...one, used: 8 }, "es")).toContain("quedan 2 preguntas");
  });

  it("counts money to the last millionth", () => {
    const money = (micros: number) => ({ micros, amount: "", currency: "EUR", decimals: 6 });
    const full = { kind: "money", limit: money(5_000_000), needed: money(1) } as const;
    expect(said({ ...full, used: money(5_000_000) })).toContain("is used up: €5.00 a day");
    expect(said({ ...full, used: money(4_999_999) })).toContain("€0.000001 are left");
    // More may be charged than was reserved.
    expect(said({ ...full, used: money(6_000_000) })).toContain("is used up");
  });

  it("is told whose budget it is", () => {
    expect(said({ scope: "Platform", subject: "" })).toContain("of the whole platform");
    expect(said({ scope: "Group", subject: "hr" })).toContain("of group hr");
    expect(said({ scope: "APIKey", subject: "0123" })).toContain("of API key 0123");
  });

  it("is told in Spanish", () => {
    expect(said({}, "es")).toBe(
      "Tu presupuesto «day» está agotado: 10 preguntas al día. " +
        "Vuelve a empezar el <2026-11-27T00:00:00Z>, <in a while>.",
    );
  });
});
