import { describe, expect, it } from "vitest";
import { translate, type Language } from "../i18n/dictionary";
import { failedText } from "./failed";

const said = (code: string, language: Language = "en") =>
  failedText((key, values) => translate(language, key, values), code);

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
