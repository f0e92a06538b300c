import { afterEach, describe, expect, it, vi } from "vitest";
import { usage } from "./usage";

function answer(response: Response) {
  const fetch = vi.fn<typeof globalThis.fetch>(async () => response.clone());
  vi.stubGlobal("fetch", fetch);
  return () => fetch.mock.calls.map(([path, init]) => [init?.method ?? "GET", path, init?.body]);
}

const page = () => Response.json({ items: [], next_cursor: null });

afterEach(() => vi.unstubAllGlobals());

describe("what was used", () => {
  const days = { from: "2026-11-01", to: "2026-11-26" };

  it("is one's own unless everybody's is asked for", async () => {
    const calls = answer(page());
    await usage.totals("day", { ...days, all: false });
    await usage.totals("model", { ...days, all: true });
    await usage.totals("subject", { ...days, all: true }, "a+b");
    await usage.budgets();
    await usage.everybodysBudgets("a+b");
    expect(calls().map(([, path]) => path)).toEqual([
      "/api/usage/totals?by=day&from=2026-11-01&to=2026-11-26",
      "/api/usage/totals?by=model&from=2026-11-01&to=2026-11-26&all=true",
      "/api/usage/totals?by=subject&from=2026-11-01&to=2026-11-26&all=true&cursor=a%2Bb",
      "/api/budgets?limit=200",
      "/api/budgets?all=true&limit=50&cursor=a%2Bb",
    ]);
  });
});

describe("all pages of what was used", () => {
  it("are read one after the other until there is none", async () => {
    const cursors: (string | null)[] = [];
    const after: Record<string, string> = { none: "b", b: "c" };
    vi.stubGlobal("fetch", async (path: string) => {
      const cursor = new URL(path, "https://ai.example.org").searchParams.get("cursor");
      cursors.push(cursor);
      const next = after[cursor ?? "none"] ?? null;
      return Response.json({ items: [{ key: cursor }], next_cursor: next });
    });
    const all = await usage.everyTotal("day", { from: "2026-11-01", to: "2026-11-26", all: false });
    expect(all.map(({ key }) => key)).toEqual([null, "b", "c"]);
    expect(cursors).toEqual([null, "b", "c"]);
  });
});

describe("budgets", () => {
  it("are made, altered and removed, and nothing else is, whatever a name looks like", async () => {
    const calls = answer(Response.json({ name: "day" }));
    const allowed = {
      names: ["ana"],
      requests: 5,
      unknown_price: "Refuse" as const,
      warn_at_percent: 80,
    };
    const wanted = { ...allowed, name: "day", scope: "User" as const, per: "Day" as const };
    await usage.makeRule(wanted);
    await usage.alterRule("day", allowed);
    await usage.removeRule("../../me/data");
    expect(calls()).toEqual([
      ["POST", "/api/admin/budgets", JSON.stringify(wanted)],
      ["PUT", "/api/admin/budgets/day", JSON.stringify(allowed)],
      ["DELETE", "/api/admin/budgets/..%2F..%2Fme%2Fdata", undefined],
    ]);
  });

  it("say that they stand in the resource", async () => {
    const detail = 'budget "cap" is part of the platform\'s resource';
    answer(Response.json({ code: "budget_of_resource", detail }, { status: 409 }));
    await expect(usage.removeRule("cap")).rejects.toMatchObject({
      code: "budget_of_resource",
      message: detail,
    });
  });
});
