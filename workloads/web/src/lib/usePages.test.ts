import { describe, expect, it } from "vitest";
import { appended } from "./usePages";

describe("a page below a list", () => {
  it("brings nothing twice, also when it was asked for twice", () => {
    const [a, b, c] = [{ id: "a" }, { id: "b" }, { id: "c" }];
    const once = appended([a], [b, c]);
    expect(once).toEqual([a, b, c]);
    expect(appended(once, [b, c])).toEqual([a, b, c]);
  });
});
