import { describe, expect, it } from "vitest";
import { furtherOf, withPage } from "./useFurther";

describe("pages below a first one", () => {
  const first = { items: ["a"], next_cursor: "1" };

  it("come one after the other, each once", () => {
    const begun = furtherOf(null, first);
    expect(begun).toMatchObject({ items: ["a"], cursor: "1", error: null });
    const failed = { ...begun, error: new Error("away") };
    const second = withPage(failed, "1", { items: ["b"], next_cursor: "2" });
    expect(second).toMatchObject({ items: ["a", "b"], cursor: "2", error: null });
    // Asked for twice.
    expect(withPage(second, "1", { items: ["b"], next_cursor: "2" })).toBe(second);
    const last = withPage(second, "2", { items: ["c"], next_cursor: null });
    expect(last).toMatchObject({ items: ["a", "b", "c"], cursor: null });
    expect(withPage(last, "2", { items: ["c"], next_cursor: null })).toBe(last);
  });

  it("are not shown below another", () => {
    const known = withPage(furtherOf(null, first), "1", { items: ["b"], next_cursor: null });
    expect(furtherOf(known, first)).toBe(known);
    const another = { items: ["x"], next_cursor: null };
    expect(furtherOf(known, another)).toMatchObject({ items: ["x"], cursor: null });
  });
});
