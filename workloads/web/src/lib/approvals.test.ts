import { describe, expect, it } from "vitest";
import type { ApprovalRequest } from "../api/types";
import { argumentsText, readArguments, standingAt, verdictOf } from "./approvals";

const request: ApprovalRequest = {
  id: "a",
  tool: "send",
  arguments: { to: "bo", tags: ["x", { y: 1 }] },
  description: "",
  expires_at: "2026-11-27T10:00:00Z",
};

describe("arguments", () => {
  it("come back as they were", () => {
    expect(readArguments(argumentsText(request.arguments))).toEqual({ value: request.arguments });
    expect(argumentsText(undefined)).toBe("");
  });

  it("are an object or nothing", () => {
    for (const text of ["", "{", "{to: 1}", '{"a": 1} x']) {
      expect(readArguments(text), text).toEqual({ fault: "json" });
    }
    for (const text of ["1", "null", "[]", '"{}"']) {
      expect(readArguments(text), text).toEqual({ fault: "object" });
    }
    expect(readArguments(" {} ")).toEqual({ value: {} });
  });
});

describe("verdictOf", () => {
  const approved = (edited: Record<string, unknown> | null) =>
    verdictOf("approve", request, edited, "");

  it("sends arguments only where they were changed", () => {
    expect(approved(null)).toEqual({ decision: "approve" });
    expect(approved({ tags: ["x", { y: 1 }], to: "bo" })).toEqual({ decision: "approve" });
    for (const edited of [
      {},
      { to: "bo" },
      { to: "eve", tags: ["x", { y: 1 }] },
      { to: "bo", tags: ["x", { y: 2 }] },
      { to: "bo", tags: { 0: "x", 1: { y: 1 } } },
      { to: "bo", other: ["x", { y: 1 }] },
    ]) {
      expect(approved(edited)).toEqual({ decision: "approve", arguments: edited });
    }
  });

  it("says why, and nothing where nothing is said", () => {
    expect(verdictOf("deny", request, { to: "eve" }, "  not now ")).toEqual({
      decision: "deny",
      reason: "not now",
    });
    expect(verdictOf("deny", request, null, "  ")).toEqual({ decision: "deny" });
  });
});

describe("standingAt", () => {
  const end = Date.parse(request.expires_at);

  it("lets what waits expire, and nothing else", () => {
    expect(standingAt("pending", request.expires_at, end - 1)).toBe("pending");
    expect(standingAt("pending", request.expires_at, end)).toBe("expired");
    expect(standingAt("approved", request.expires_at, end)).toBe("approved");
    expect(standingAt("loading", request.expires_at, end)).toBe("loading");
  });
});
