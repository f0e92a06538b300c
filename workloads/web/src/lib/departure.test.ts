import { describe, expect, it, vi } from "vitest";
import { departure } from "./departure";
import { ACCOUNT, pathOf, USAGE } from "./place";

const CONVERSATION = pathOf("019aab4e-6f1b-7b52-8d0a-0b6c1d2e3f40");

function storage() {
  const items = new Map<string, string>();
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
}

describe("the page from which somebody went to sign in", () => {
  it("is known until they are in", () => {
    const tab = storage();
    expect(departure.read(tab)).toBe("/");
    for (const path of [ACCOUNT, USAGE, CONVERSATION]) {
      departure.keep(path, tab);
      expect(departure.read(tab)).toBe(path);
    }
    departure.forget(tab);
    expect(departure.read(tab)).toBe("/");
  });

  it.each([
    "//evil.example.org",
    "/\\evil.example.org",
    "https://evil.example.org/account",
    "javascript:alert(1)",
    CONVERSATION + "?next=//evil.example.org",
    "/c/../auth/logout",
    "/auth/logout",
    "/sign-in?reason=sign_in_failed",
    "account",
    "",
  ])("is one of ours, and not %s", (path) => {
    const tab = storage();
    departure.keep(path, tab);
    expect(departure.read(tab)).toBe("/");
  });

  it("is the beginning where a browser keeps nothing", () => {
    const full = {
      ...storage(),
      setItem: () => {
        throw new DOMException("full", "QuotaExceededError");
      },
    };
    departure.keep(ACCOUNT, full);
    expect(departure.read(full)).toBe("/");
    vi.stubGlobal("sessionStorage", undefined);
    departure.keep(ACCOUNT);
    expect(departure.read()).toBe("/");
    departure.forget();
    vi.unstubAllGlobals();
  });
});
