import { describe, expect, it } from "vitest";
import type { BudgetRule } from "../api/usageTypes";
import {
  EMPTY_RULE,
  formOf,
  ruleFault,
  toChange,
  toNewRule,
  waysToWrite,
  type RuleForm,
} from "./rules";

const form: RuleForm = { ...EMPTY_RULE, name: "day", requests: "100" };

describe("the form for a budget", () => {
  it("becomes a request with what was filled in, and nothing else", () => {
    expect(ruleFault(form)).toBeNull();
    expect(toNewRule(form)).toEqual({
      name: "day",
      scope: "User",
      per: "Day",
      names: [],
      requests: 100,
      unknown_price: "Refuse",
      warn_at_percent: 80,
    });
    const full = { ...form, names: " ana \n\nbo\nana", tokens: "5", money: "2,50" };
    expect(ruleFault(full)).toBeNull();
    expect(toChange(full)).toMatchObject({ names: ["ana", "bo"], tokens: 5, money: "2.50" });
    expect(toChange(full)).not.toHaveProperty("name");
  });

  it("has no names for everybody together, whatever was typed before", () => {
    expect(toChange({ ...form, scope: "Platform", names: "ana" }).names).toEqual([]);
  });

  it.each<[Partial<RuleForm>, string]>([
    [{ name: "" }, "name"],
    [{ name: "Day" }, "name"],
    [{ name: "day-" }, "name"],
    [{ name: "d".repeat(41) }, "name"],
    [{ names: Array.from({ length: 101 }, (_, index) => "n" + index).join("\n") }, "names"],
    [{ requests: "0" }, "requests"],
    [{ requests: "1.5" }, "requests"],
    [{ requests: "many" }, "requests"],
    [{ tokens: "-1" }, "tokens"],
    [{ tokens: "1e13" }, "tokens"],
    [{ money: "-1" }, "money"],
    [{ money: "1.0000001" }, "money"],
    [{ money: "1,000.00" }, "money"],
    [{ money: "1,000" }, "moneyUnclear"],
    [{ money: " 25.000 " }, "moneyUnclear"],
    [{ money: "999.125" }, "moneyUnclear"],
    [{ requests: "1.000" }, "requests"],
    [{ tokens: "1e3" }, "tokens"],
    [{ warnAt: "80.0" }, "warnAt"],
    [{ requests: " " }, "limits"],
    [{ warnAt: "" }, "warnAt"],
    [{ warnAt: "0" }, "warnAt"],
    [{ warnAt: "101" }, "warnAt"],
  ])("with %o is not sent", (part, fault) => {
    expect(ruleFault({ ...form, ...part })).toBe(fault);
  });

  it.each([
    ["1000", "1000"],
    ["0,125", "0.125"],
    ["1234.567", "1234.567"],
    ["1.0000", "1.0000"],
    ["1,50", "1.50"],
  ])("takes %s, which can be read in one way", (money, sent) => {
    expect(ruleFault({ ...form, money })).toBeNull();
    expect(toChange({ ...form, money }).money).toBe(sent);
  });

  it("can be sent as it is proposed where an amount can be read in two ways", () => {
    const { whole, decimals } = waysToWrite(" 1,000 ");
    expect([whole, decimals]).toEqual(["1000", "1,0000"]);
    expect(ruleFault({ ...form, money: whole })).toBeNull();
    expect(ruleFault({ ...form, money: decimals })).toBeNull();
  });

  it("takes the longest name that there is", () => {
    expect(ruleFault({ ...form, name: "d".repeat(40) })).toBeNull();
    expect(ruleFault({ ...form, name: "d" })).toBeNull();
  });

  it("shows a budget as it is, and leaves it so", () => {
    const rule: BudgetRule = {
      name: "money",
      scope: "Group",
      names: ["hr", "it"],
      per: "Month",
      limits: {
        tokens: 5,
        money: { micros: 2_500_000, amount: "2.500000", currency: "EUR", decimals: 6 },
      },
      unknown_price: "Warn",
      warn_at_percent: 50,
      source: "Administrator",
      active: true,
    };
    const shown = formOf(rule);
    expect(shown).toMatchObject({ names: "hr\nit", requests: "", tokens: "5", money: "2.5" });
    expect(ruleFault(shown)).toBeNull();
    expect(toChange(shown)).toEqual({
      names: ["hr", "it"],
      tokens: 5,
      money: "2.5",
      unknown_price: "Warn",
      warn_at_percent: 50,
    });
    const round = { micros: 100_000_000, amount: "100.000000", currency: "EUR", decimals: 6 };
    expect(formOf({ ...rule, limits: { money: round } }).money).toBe("100");
    const three = { micros: 2_125_000, amount: "2.125000", currency: "EUR", decimals: 6 };
    const precise = formOf({ ...rule, limits: { money: three } });
    expect(precise.money).toBe("2.1250");
    expect(ruleFault(precise)).toBeNull();
  });
});
