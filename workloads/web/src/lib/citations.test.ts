import { expect, it } from "vitest";
import { citationOf, remarkCitations } from "./citations";

it("links the numbers that exist, and leaves code and others alone", () => {
  const tree = {
    type: "root",
    children: [
      { type: "paragraph", children: [{ type: "text", value: "Yes [1][2], not [9]." }] },
      { type: "inlineCode", value: "a[1]" },
    ],
  };
  remarkCitations(new Set([1, 2]))()(tree);
  const link = (n: number) => ({
    type: "link",
    url: "#citation-" + n,
    children: [{ type: "text", value: `[${n}]` }],
  });
  expect(tree.children[0]?.children).toEqual([
    { type: "text", value: "Yes " },
    link(1),
    link(2),
    { type: "text", value: ", not [9]." },
  ]);
  expect(tree.children[1]).toEqual({ type: "inlineCode", value: "a[1]" });
});

it("tells citation links from others", () => {
  expect(citationOf("#citation-12")).toBe(12);
  expect(citationOf("https://example.org/#citation-1")).toBeNull();
  expect(citationOf(undefined)).toBeNull();
});
