import { describe, expect, it } from "vitest";
import { deletedFrom, putBack, renamed, type Item } from "./conversations";

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
      const rest = abc.filter((it) => it.id !== id);
      expect(ids(putBack(rest, deletedFrom(abc, id)!)), id).toBe("abc");
    }
  });

  it("brings it back once, and first where its place is gone", () => {
    const deleted = deletedFrom(abc, "b");
    expect(ids(putBack([item("a")], deleted!))).toBe("ba");
    expect(ids(putBack(abc, deleted!))).toBe("abc");
    expect(deletedFrom(abc, "x")).toBeNull();
  });

  it("renames one and no other", () => {
    const titles = renamed(abc, "b", "new").map((it) => it.title);
    expect(titles).toEqual(["title of a", "new", "title of c"]);
  });
});
