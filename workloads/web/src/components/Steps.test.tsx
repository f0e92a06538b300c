import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { DocumentStep } from "../api/types";
import { I18nProvider } from "../i18n/context";
import type { Language } from "../i18n/dictionary";
import { Steps } from "./Steps";

let language: Language = "en";

function seen(steps: DocumentStep[]): string {
  return renderToStaticMarkup(
    <I18nProvider>
      <Steps steps={steps} />
    </I18nProvider>,
  );
}

beforeEach(() => {
  language = "en";
  vi.stubGlobal("localStorage", { getItem: () => language });
  vi.stubGlobal("navigator", { languages: [] });
});
afterEach(() => vi.unstubAllGlobals());

const parsing: DocumentStep = {
  step: "parsing",
  began_at: "2026-11-27T10:00:00.000Z",
  ended_at: "2026-11-27T10:00:01.500Z",
  done: 0,
  total: 0,
};
const embedding: DocumentStep = {
  step: "embedding",
  began_at: "2026-11-27T10:00:01.500Z",
  ended_at: null,
  done: 32,
  total: 40,
};

describe("the steps of a document", () => {
  it("say when they began, how long they took and how much was done", () => {
    const html = seen([parsing, embedding]);
    const [first, second] = html.split("</li>");
    expect(first).toContain("<summary>Steps</summary>");
    expect(first).toMatch(/<li>parsing · .*2026.* · 1\.5\ssec$/);
    expect(second).toMatch(/<li>embedding 32\/40 · .*2026/);
    // It lasts.
    expect(second).not.toContain("sec");
    language = "es";
    expect(seen([parsing])).toMatch(/<summary>Pasos<\/summary>.*analizando · .* · 1,5\ss/);
  });

  it("are not told with every step, and are nothing where none is known", () => {
    expect(seen([parsing])).toContain('<details class="steps" aria-live="off"');
    expect(seen([])).toBe("");
  });

  it("have their own name where nobody knows it", () => {
    expect(seen([{ ...parsing, step: "folding" }])).toContain("<li>folding · ");
  });
});
