import { describe, expect, it } from "vitest";
import { dictionaries, isKey, pickLanguage, translate } from "./dictionary";

const placeholders = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

describe("dictionary", () => {
  it("has every text in both languages, with the same placeholders", () => {
    const { en, es } = dictionaries;
    expect(Object.keys(es).sort()).toEqual(Object.keys(en).sort());
    for (const key of Object.keys(en) as (keyof typeof en)[]) {
      expect(es[key].trim(), key).not.toBe("");
      expect(placeholders(es[key]), key).toEqual(placeholders(en[key]));
    }
  });

  it("fills placeholders in and leaves unknown ones", () => {
    expect(translate("en", "citation.title", { number: 2 })).toBe("Source 2");
    expect(translate("es", "citation.title")).toBe("Fuente {number}");
  });

  it.each(["signed_out", "rights_changed", "shutting_down"])("has words for %s", (code) => {
    expect(isKey("error." + code)).toBe(true);
  });

  it.each([
    "empty_document",
    "not_utf8",
    "bad_html",
    "unsupported_media_type",
    "document_too_large",
    "refused_by_model",
    "refused_by_store",
    "missing_object",
    "parser_stopped",
    "interrupted",
    "temporarily_unavailable",
  ])("has words for a document that failed with %s", (code) => {
    expect(isKey("documents.failed." + code)).toBe(true);
  });

  it("takes the first language that there is", () => {
    expect(pickLanguage([null, "fr-CA", "es-MX", "en"])).toBe("es");
    expect(pickLanguage(["de"])).toBe("en");
  });
});
