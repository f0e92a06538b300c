import { describe, expect, it } from "vitest";
import { browserOf, faultOf, isTyped, toRequest, type KeyForm } from "./account";

const form: KeyForm = { name: " ci ", scopes: ["chat"], days: "90" };

describe("the form for a key", () => {
  it("becomes a request", () => {
    expect(faultOf(form)).toBeNull();
    expect(toRequest(form)).toEqual({ name: "ci", scopes: ["chat"], expires_in_days: 90 });
  });

  it.each<[Partial<KeyForm>, keyof KeyForm]>([
    [{ name: "  " }, "name"],
    [{ scopes: [] }, "scopes"],
    [{ days: "" }, "days"],
    [{ days: "0" }, "days"],
    [{ days: "366" }, "days"],
    [{ days: "1.5" }, "days"],
    [{ days: "a year" }, "days"],
  ])("with %o is not sent", (part, field) => {
    expect(faultOf({ ...form, ...part })).toBe(field);
  });
});

describe("the phrase that erases", () => {
  it("is the whole phrase and nothing else", () => {
    expect(isTyped("borrar todo", " Borrar  todo ")).toBe(true);
    for (const typed of ["", "borrar", "borrar todos", "borrartodo", "erase everything"]) {
      expect(isTyped("borrar todo", typed), typed).toBe(false);
    }
  });
});

describe("browserOf", () => {
  const like = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) ";
  it.each([
    ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", "Linux"],
    [like + "Chrome/140.0.0.0 Safari/537.36", "Chrome", "Linux"],
    [
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
      "Edge",
      "Windows",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
      "Safari",
      "iPhone",
    ],
    [
      "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
      "Chrome",
      "Android",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
      "Safari",
      "macOS",
    ],
  ])("knows %s", (userAgent, browser, system) => {
    expect(browserOf(userAgent)).toEqual({ browser, system });
  });

  it("does not guess", () => {
    for (const userAgent of ["", "curl/8.14.1", "Firefox/140.0"]) {
      expect(browserOf(userAgent), userAgent).toBeNull();
    }
  });
});
