import { describe, expect, it } from "vitest";
import type { StoredMessage } from "../api/types";
import { isSame } from "./useConversation";

const stored: StoredMessage = {
  id: "m",
  run_id: "r",
  role: "assistant",
  content: "",
  outcome: "ok",
  decision: null,
  citations: [],
  tool_calls: [],
  approvals: [],
};

describe("isSame", () => {
  it("knows a stored answer by its id and a new one by its run", () => {
    expect(isSame({ key: "m", runId: null }, stored)).toBe(true);
    expect(isSame({ key: "new-1", runId: "r" }, stored)).toBe(true);
  });

  it("takes no other for it", () => {
    expect(isSame({ key: "new-1", runId: "s" }, stored)).toBe(false);
    // Neither a question nor a copy in a branch has a run.
    expect(isSame({ key: "new-1", runId: null }, { ...stored, run_id: null })).toBe(false);
  });
});
