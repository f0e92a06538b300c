import { describe, expect, it } from "vitest";
import { ApiError } from "../api/http";
import { translate, type Language, type Translate } from "../i18n/dictionary";
import { errorText, failedText } from "./failed";

const inLanguage = (language: Language): Translate => (key, values) =>
  translate(language, key, values);
const said = (code: string, language: Language = "en") => failedText(inLanguage(language), code);

/** What answers are stored with that were not let end. */
const STORED = [
  "signed_out",
  "rights_changed",
  "token_expired",
  "shutting_down",
  "slow_reader",
  "answer_incomplete",
  "answer_timeout",
  "answer_too_long",
  "orchestrator_unavailable",
  "agents_unavailable",
  "rag_server_unavailable",
  "model_server_unavailable",
  "mcp_server_unavailable",
  "postgres_unavailable",
  "provider_unavailable",
  "provider_refused",
  "rate_limited",
  "timeout",
  "overloaded",
  "tool_refused",
  "unknown_model",
  "unknown_role",
  "unsupported_parameter",
  "invalid_request",
];

describe("a stored answer that failed", () => {
  it.each(STORED)("has a sentence for %s in both languages", (code) => {
    for (const language of ["en", "es"] as const) {
      expect(said(code, language)).not.toContain(code);
      expect(said(code, language)).toMatch(/\.$/);
    }
  });

  it("looks back on a session that was ended: whoever reads it is signed in", () => {
    expect(said("signed_out")).toBe("The answer was cut off, because the session ended.");
    expect(said("signed_out", "es")).toBe("La respuesta se cortó porque terminó la sesión.");
  });

  it("says the code that nobody has words for", () => {
    expect(said("quite_new")).toBe("This answer failed (quite_new).");
  });
});

/** What the page can meet. */
const MET = [
  "answer_not_found",
  "answer_stopped",
  "document_not_found",
  "idempotency_answer_not_kept",
  "idempotency_in_progress",
  "idempotency_key_reused",
  "idempotency_outcome_unknown",
  "internal_error",
  "model_not_found",
  "not_your_document",
  "price_unknown",
  "request_too_large",
  "too_many_idempotency_keys",
  // Those of which there are only words for looking back.
  "provider_refused",
  "tool_refused",
  "unknown_role",
];

describe("what goes wrong just now", () => {
  const told = (status: number, code: string, language: Language = "en") =>
    errorText(inLanguage(language), new ApiError(status, code, "in the server's words"));

  it.each(MET)("has a sentence for %s in both languages", (code) => {
    const texts = (["en", "es"] as const).map((language) => told(400, code, language));
    expect(new Set([...texts, "in the server's words"]).size).toBe(3);
    for (const text of texts) expect(text).toMatch(/\.$/);
  });

  it("is told as it is now, where looking back there is another thing to say", () => {
    expect(told(401, "signed_out")).toBe("This session was ended. Sign in again.");
  });

  it("has a sentence for what stands before the gateway", () => {
    const text = "LotoAI did not answer, but something that stands before it (HTTP 502). Try again soon.";
    expect(told(502, "http_502")).toBe(text);
    expect(told(502, "http_502", "es")).toContain("(HTTP 502). Reintenta en breve.");
  });

  it("is told in the server's words where it is new", () => {
    expect(told(400, "quite_new")).toBe("in the server's words");
  });
});
