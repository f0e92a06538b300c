import { describe, expect, it } from "vitest";
import { ACCOUNT, conversationIn, isAccount, pathOf } from "./place";

const ID = "019aab4e-6f1b-7b52-8d0a-0b6c1d2e3f40";

describe("paths", () => {
  it("lead back to the conversation that they show", () => {
    for (const id of [ID, null]) expect(conversationIn(pathOf(id))).toBe(id);
  });

  it("show one thing at a time", () => {
    expect(isAccount(ACCOUNT)).toBe(true);
    expect(conversationIn(ACCOUNT)).toBeNull();
    expect(isAccount(pathOf(ID))).toBe(false);
    expect(conversationIn("/c/" + ID + "/x")).toBeNull();
  });
});
