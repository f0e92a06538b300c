import { describe, expect, it } from "vitest";
import type { Document } from "../api/types";
import { document } from "../testing/document";
import {
  NOTHING,
  apart,
  mayRetry,
  pollEvery,
  withDocuments,
  withFirstPage,
  withPage,
  withSent,
  type Known,
} from "./documents";

const BEGAN = Date.parse("2026-11-27T00:00:00Z");
const MINUTE = 60_000;

/** A page of the list with these ids, and whether another one is below it. */
const told = (ids: string, hasMore = false, isOld = (_: string) => false) => ({
  page: {
    items: [...ids].map((id) => document(id)),
    next_cursor: hasMore ? "below " + ids.at(-1) : null,
  },
  now: BEGAN,
  isOld,
});
const ids = (known: Known) => known.documents?.map((it) => it.id).join("");

describe("the first page of the list", () => {
  const paged = withPage(withFirstPage(NOTHING, told("fed", true)), "below d", told("cb", true));

  it("leaves what stands below it, and takes away what is gone from it", () => {
    expect(ids(paged)).toBe("fedcb");
    expect(ids(withFirstPage(paged, told("gfd", true)))).toBe("gfdcb");
    expect(ids(withFirstPage(paged, told("fd")))).toBe("fd");
  });

  it("leaves where the next page is: also where there is none", () => {
    expect(paged.cursor).toBe("below b");
    expect(withFirstPage(paged, told("gfe", true)).cursor).toBe("below b");
    const whole = withPage(paged, "below b", told("a"));
    expect(withFirstPage(whole, told("gfe", true)).cursor).toBeNull();
    expect(withFirstPage(paged, told("fe")).cursor).toBeNull();
  });

  it("has the next page read again where more has come than stands on it", () => {
    const whole = withFirstPage(NOTHING, told("cb"));
    const more = withFirstPage(whole, told("gfe", true));
    expect(more.cursor).toBe("below e");
    expect(ids(withPage(more, "below e", told("dc", true)))).toBe("gfedcb");
    expect(withFirstPage(withFirstPage(NOTHING, told("")), told("gfe", true)).cursor).toBe("below e");
  });

  it("says nothing of what newer is known of", () => {
    const isOld = (id: string) => id === "f" || id === "g";
    const known = withSent(paged, document("g", { status: "uploaded" }), BEGAN);
    const without = { ...known, documents: known.documents!.filter((it) => it.id !== "f") };
    // As the list was before g was sent and f deleted.
    expect(ids(withFirstPage(without, told("fed", true, isOld)))).toBe("gedcb");
  });

  it("does not bring a page twice, also when it was asked for twice", () => {
    expect(withPage(paged, "below d", told("cb", true))).toEqual(paged);
  });
});

describe("a document that moves", () => {
  const listed = (fields: Partial<Document>) => withDocuments(NOTHING, [document("a", fields)], BEGAN);
  const only = (known: Known) => known.documents![0]!;
  const moving = { status: "indexing", step: "embedding", done: 1, total: 9 } as const;

  it("may be retried when nothing was heard of it for as long as the gateway waits", () => {
    const known = listed(moving);
    expect(mayRetry(only(known), BEGAN + 30 * MINUTE)).toBe(false);
    expect(mayRetry(only(known), BEGAN + 31 * MINUTE)).toBe(true);
    expect(mayRetry(only(listed({ status: "uploaded" })), BEGAN + 31 * MINUTE)).toBe(true);
    expect(mayRetry(only(listed({ status: "indexed" })), BEGAN + 31 * MINUTE)).toBe(false);
    expect(mayRetry(only(listed({ status: "failed" })), BEGAN)).toBe(true);
  });

  it("is heard of when it comes further, begins a step or is sent again", () => {
    const later = BEGAN + 29 * MINUTE;
    const at = BEGAN + 40 * MINUTE;
    const further = withDocuments(listed(moving), [document("a", { ...moving, done: 2 })], later);
    expect(mayRetry(only(further), at)).toBe(false);
    // The control: to be told the same again is not to hear of it.
    const same = withDocuments(listed(moving), [document("a", moving)], later);
    expect(mayRetry(only(same), at)).toBe(true);
    const steps = [
      { step: "fetching", began_at: "2026-11-27T00:20:00Z", ended_at: null, done: 0, total: 0 },
    ];
    expect(mayRetry(only(listed({ ...moving, steps })), at)).toBe(false);
    const sent = withSent(listed(moving), document("a", { status: "uploaded" }), later);
    expect(mayRetry(only(sent), at)).toBe(false);
  });

  it("has the list read again and again, and seldom when nothing is heard of it", () => {
    const every = (fields: Partial<Document>, minutes: number) =>
      pollEvery(listed(fields).documents, BEGAN + minutes * MINUTE);
    expect(every(moving, 1)).toBe(1500);
    expect(every(moving, 31)).toBe(60_000);
    expect(every({ status: "failed" }, 1)).toBeNull();
    expect(pollEvery(null, BEGAN)).toBeNull();
  });

  it("is read by itself where the first page does not tell of it, a few at a time in turn", () => {
    const all = [..."abcdefghijklmnop"].map((id) => document(id, { status: "uploaded" }));
    const known = withDocuments(NOTHING, [...all, document("z")], BEGAN);
    const first = apart(known, told("po", true).page, () => 0);
    expect(first).toHaveLength(10);
    expect(first).not.toContain("p");
    const second = apart(known, told("po", true).page, (id) => (first.includes(id) ? 1 : 0));
    expect(new Set([...first, ...second]).size).toBe(14);
    expect(second).not.toContain("z");
  });
});
