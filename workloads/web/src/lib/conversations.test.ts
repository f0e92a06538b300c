import { describe, expect, it } from "vitest";
import { putBack, renamed, without, type Item } from "./conversations";

const item = (id: string): Item => ({
  id,
  title: "title of " + id,
  created_at: "",
  updated_at: "",
  branched_from: null,
});
const ids = (items: Item[]) => items.map((it) => it.id).join("");
const abc = ["a", "b", "c"].map(item);

describe("the list of conversations", () => {
  it("brings a deleted conversation back where it stood", () => {
    for (const id of ["a", "b", "c"]) {
      const { items, deleted } = without(abc, id);
      expect(ids(items)).not.toContain(id);
      expect(ids(putBack(items, deleted!)), id).toBe("abc");
    }
  });

  it("brings it back once, and first where its place is gone", () => {
    const { items, deleted } = without(abc, "b");
    const rest = items.filter((it) => it.id !== "c");
    expect(ids(putBack(rest, deleted!))).toBe("ba");
    expect(ids(putBack(abc, deleted!))).toBe("abc");
    expect(without(abc, "x")).toEqual({ items: abc, deleted: null });
  });

  it("renames one and no other", () => {
    const titles = renamed(abc, "b", "new").map((it) => it.title);
    expect(titles).toEqual(["title of a", "new", "title of c"]);
  });
});
