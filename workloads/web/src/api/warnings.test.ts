import { describe, expect, it } from "vitest";
import { parseWarnings, warningKey } from "./warnings";

const DAY = "day; tokens=85%; resets=2026-11-27T00:00:00Z";

describe("warnings of budgets", () => {
  it("are read, one or several", () => {
    expect(parseWarnings(DAY)).toEqual([
      { name: "day", kind: "tokens", percent: 85, resetsAt: "2026-11-27T00:00:00Z" },
    ]);
    const both = parseWarnings(DAY + ", soft; money=unknown");
    expect(both).toHaveLength(2);
    expect(both[1]).toEqual({ name: "soft", kind: "money", percent: null, resetsAt: null });
  });

  it("are none where there are none, and what is no warning is left out", () => {
    for (const header of [null, "", "day", "day; seats=3%", "; tokens=85%", "day; tokens=lots"]) {
      expect(parseWarnings(header), String(header)).toEqual([]);
    }
  });

  it("come again when the budget begins anew or is full, and not because it is a little fuller", () => {
    const key = (header: string) => parseWarnings(header).map(warningKey).join();
    expect(key(DAY.replace("85", "90"))).toBe(key(DAY));
    expect(key(DAY.replace("85", "100"))).not.toBe(key(DAY));
    expect(key(DAY.replace("27T", "28T"))).not.toBe(key(DAY));
    expect(key(DAY.replace("day", "month"))).not.toBe(key(DAY));
  });
});
