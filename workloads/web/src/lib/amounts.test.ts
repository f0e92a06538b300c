import { describe, expect, it } from "vitest";
import { translate, type Language, type Translate } from "../i18n/dictionary";
import {
  amountText,
  bareText,
  dayText,
  moneyText,
  shortNumber,
  untilText,
  valueOf,
} from "./amounts";

const words = (language: Language): Translate => (key, values) => translate(language, key, values);
/** Whatever kind of space the language puts before a unit. */
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");
const euros = (micros: number) => ({ micros, amount: "", currency: "EUR", decimals: 6 });

describe("an amount", () => {
  it("counts one and many in both languages", () => {
    const en = (kind: "requests" | "tokens", count: number) =>
      amountText("en", words("en"), kind, count);
    expect(en("requests", 1)).toBe("1 request");
    expect(en("requests", 0)).toBe("0 requests");
    expect(en("tokens", 20_000)).toBe("20,000 tokens");
    expect(amountText("es", words("es"), "requests", 1)).toBe("1 pregunta");
    expect(amountText("es", words("es"), "tokens", 20_000)).toBe("20.000 tokens");
    // Spanish has a form of its own for a million, which is not one.
    expect(amountText("es", words("es"), "requests", 1_000_000)).toBe("1.000.000 preguntas");
  });

  it("of money has its currency, and no part of it is lost where it is small", () => {
    expect(amountText("en", words("en"), "money", euros(12_500_000))).toBe("€12.50");
    expect(plain(amountText("es", words("es"), "money", euros(12_500_000)))).toBe("12,50 €");
    expect(moneyText("en", 44, "EUR")).toBe("€0.000044");
    expect(moneyText("en", 0, "EUR")).toBe("€0.00");
    expect(moneyText("en", 10_000, "EUR")).toBe("€0.01");
  });

  it("of money without prices is a number and no fault", () => {
    expect(moneyText("en", 1_500_000, "")).toBe("1.50");
  });

  it("is a number to draw", () => {
    expect(valueOf(7)).toBe(7);
    expect(valueOf(euros(2_500_000))).toBe(2.5);
  });

  it("is bare before another of the same", () => {
    expect(bareText("en", 1500)).toBe("1,500");
    expect(bareText("en", euros(1_500_000))).toBe("€1.50");
  });

  it("is short beside a bar", () => {
    expect(shortNumber("en", 1_234_000)).toBe("1.2M");
    expect(shortNumber("en", 999)).toBe("999");
  });
});

describe("the time until", () => {
  const now = Date.parse("2026-11-26T12:00:00Z");
  it.each([
    ["2026-11-26T12:00:34Z", "in 34 seconds"],
    ["2026-11-26T12:03:00Z", "in 3 minutes"],
    ["2026-11-26T13:30:00Z", "in 90 minutes"],
    ["2026-11-27T00:00:00Z", "in 12 hours"],
    ["2026-12-01T00:00:00Z", "in 5 days"],
    ["2026-11-26T11:00:00Z", "in 0 seconds"],
  ])("%s is %s", (text, expected) => {
    expect(untilText("en", text, now)).toBe(expected);
  });

  it("speaks Spanish", () => {
    expect(untilText("es", "2026-11-27T00:00:00Z", now)).toBe("dentro de 12 horas");
  });
});

describe("a day below a bar", () => {
  it("is that of UTC, wherever the browser is", () => {
    expect(dayText("en", "2026-11-01")).toBe("Nov 1");
    expect(dayText("es", "2026-11-01")).toBe("1 nov");
    expect(dayText("en", "2026-11")).toBe("Nov 2026");
  });
});
