import { describe, expect, it } from "vitest";
import { ApiError } from "../api/http";
import { better, endingOf, isSignedOut } from "./ending";

const refused = (status: number, code: string) => new ApiError(status, code, code);

describe("a page that was just opened", () => {
  it("says that a session is over, and nothing where there was none", () => {
    expect(endingOf(refused(401, "session_expired"))).toBe("over");
    expect(endingOf(refused(401, "signed_out"))).toBe("over");
    expect(endingOf(refused(401, "sign_in_required"))).toBeNull();
    expect(endingOf(new TypeError("session_expired"))).toBeNull();
  });
});

describe("isSignedOut", () => {
  it("is every 401, and not what could not be asked", () => {
    expect(isSignedOut(refused(401, "sign_in_required"))).toBe(true);
    expect(isSignedOut(refused(403, "rights_changed"))).toBe(false);
    expect(isSignedOut(refused(0, "network"))).toBe(false);
  });
});

describe("better", () => {
  it("believes who knows why, whoever comes first", () => {
    expect(better(undefined, "over")).toBe("over");
    expect(better("over", "elsewhere")).toBe("elsewhere");
    expect(better("elsewhere", "over")).toBe("elsewhere");
    expect(better("self", "elsewhere")).toBe("self");
    expect(better("self", "over")).toBe("self");
  });
});
