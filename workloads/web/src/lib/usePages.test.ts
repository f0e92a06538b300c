import { describe, expect, it } from "vitest";
import { ApiError } from "../api/http";
import { isGone } from "./usePages";

describe("isGone", () => {
  it("takes for gone what is not there, and nothing that only failed", () => {
    expect(isGone(new ApiError(404, "session_not_found", "there is no such session"))).toBe(true);
    expect(isGone(new ApiError(503, "storage_down", "the database is away"))).toBe(false);
    expect(isGone(new ApiError(0, "network", "no answer"))).toBe(false);
    expect(isGone(new TypeError("404"))).toBe(false);
  });
});
