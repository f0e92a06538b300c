import { describe, expect, it } from "vitest";
import { failureIn } from "./signInFailure";

const ID = "019aab4e-0000-7000-8000-000000000000";
const told = (search: string) => failureIn("/sign-in", search);

describe("failureIn", () => {
  it("reads the reason and the request that the gateway names", () => {
    expect(told(`?reason=sign_in_refused&request=${ID}`)).toEqual({
      text: "signIn.failed.sign_in_refused",
      request: ID,
    });
    expect(told("?reason=sign_in_expired")).toEqual({
      text: "signIn.failed.sign_in_expired",
      request: null,
    });
  });

  it("has one sentence for everything that is wrong with a token", () => {
    expect(told("?reason=token_wrong_audience")?.text).toBe("signIn.failed.token");
    expect(told("?reason=token_expired")?.text).toBe("signIn.failed.token");
  });

  it.each(["nothing", "", "internal_error", "toString", "__proto__", "<script>", "../close"])(
    "says in general of the reason %j that it failed",
    (reason) => {
      const search = "?reason=" + encodeURIComponent(reason);
      expect(told(search)?.text).toBe("signIn.failed.other");
    },
  );

  it.each(["", " ", "<b>x</b>", "a b", "https://evil.example.org", "x".repeat(129)])(
    "shows no request %j",
    (request) => {
      const search = "?reason=sign_in_failed&request=" + encodeURIComponent(request);
      expect(told(search)?.request).toBeNull();
    },
  );

  it("is nothing without a reason, and on other pages", () => {
    expect(told("")).toBeNull();
    expect(told(`?request=${ID}`)).toBeNull();
    expect(failureIn("/", "?reason=sign_in_failed")).toBeNull();
    expect(failureIn("/sign-in/", "?reason=sign_in_failed")).toBeNull();
  });
});
