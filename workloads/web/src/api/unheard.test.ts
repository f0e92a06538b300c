import { describe, expect, it } from "vitest";
import { ApiError } from "./http";
import { keyFor, mayHaveArrived } from "./unheard";

describe("a question of which nothing came back", () => {
  const asked = { model: "lotoai", text: "How many?", conversationId: "c" };

  it("keeps its key as long as it is the same", () => {
    expect(keyFor({ ...asked, key: "k" }, { ...asked })).toBe("k");
    for (const other of [{ model: "m" }, { text: "How much?" }, { conversationId: null }]) {
      expect(keyFor({ ...asked, key: "k" }, { ...asked, ...other })).toMatch(/^[0-9a-f-]{36}$/);
    }
    expect(keyFor(null, asked)).not.toBe(keyFor(null, asked));
  });

  it("may have arrived, unless it was refused", () => {
    expect(mayHaveArrived(new ApiError(0, "network", "m"))).toBe(true);
    expect(mayHaveArrived(new ApiError(409, "idempotency_in_progress", "m"))).toBe(true);
    expect(mayHaveArrived(new DOMException("left", "AbortError"))).toBe(true);
    expect(mayHaveArrived(new ApiError(409, "idempotency_outcome_unknown", "m"))).toBe(false);
    expect(mayHaveArrived(new ApiError(429, "overloaded", "m"))).toBe(false);
    expect(mayHaveArrived(new ApiError(401, "session_expired", "m"))).toBe(false);
  });
});
