import { describe, expect, it } from "vitest";
import { ACCOUNT, conversationIn, overlayIn, pathOf, USAGE } from "./place";

const ID = "019aab4e-6f1b-7b52-8d0a-0b6c1d2e3f40";

describe("paths", () => {
  it("lead back to the conversation that they show", () => {
    for (const id of [ID, null]) expect(conversationIn(pathOf(id))).toBe(id);
  });

  it("show one thing at a time", () => {
    for (const overlay of [ACCOUNT, USAGE] as const) {
      expect(overlayIn(overlay)).toBe(overlay);
      expect(conversationIn(overlay)).toBeNull();
    }
    for (const path of [pathOf(ID), "/", "/account/x", "/usages"]) {
      expect(overlayIn(path), path).toBeNull();
    }
    expect(conversationIn("/c/" + ID + "/x")).toBeNull();
  });
});
