import { describe, expect, it } from "vitest";
import { knownOf, type Known } from "./useLoad";

describe("what is known of a question", () => {
  const mine = () => Promise.resolve(1);
  const everybodys = () => Promise.resolve(2);

  it("stays while the same is asked again, also when that fails", () => {
    const known: Known<number> = { of: mine, value: 1, error: null };
    expect(knownOf(known, mine)).toBe(known);
    const failed = { ...knownOf(known, mine), error: "down" };
    expect(knownOf(failed, mine)).toEqual({ of: mine, value: 1, error: "down" });
  });

  it("is never shown for another one, also when that fails", () => {
    const known: Known<number> = { of: mine, value: 1, error: "down" };
    const fresh = knownOf(known, everybodys);
    expect(fresh).toEqual({ of: everybodys, value: null, error: null });
    expect(knownOf({ ...fresh, error: "down" }, everybodys).value).toBeNull();
    expect(knownOf(null, mine)).toEqual({ of: mine, value: null, error: null });
  });
});
