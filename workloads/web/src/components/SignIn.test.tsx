import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { I18nProvider } from "../i18n/context";
import type { Language } from "../i18n/dictionary";
import type { Ending } from "../lib/ending";
import { SignIn } from "./SignIn";

let language: Language = "en";

function seen(ending?: Ending): string {
  return renderToStaticMarkup(
    <I18nProvider>
      <SignIn {...(ending && { ending })} />
    </I18nProvider>,
  );
}

beforeEach(() => {
  vi.stubGlobal("localStorage", { getItem: () => language, setItem: () => undefined });
  vi.stubGlobal("navigator", { languages: [language] });
  vi.stubGlobal("location", { pathname: "/c/1" });
});

afterEach(() => {
  language = "en";
  vi.unstubAllGlobals();
});

describe("the page without a person", () => {
  it("says why somebody is not signed in any more", () => {
    expect(seen("self")).toContain("You have signed out.");
    expect(seen("elsewhere")).toContain("in another tab of this browser.");
    expect(seen("over")).toContain("Your session has ended: it was not used for a while");
    language = "es";
    expect(seen("over")).toContain("Tu sesión ha terminado: no se usó durante un tiempo");
  });

  it("says nothing where nobody was, and leads back to where one is", () => {
    expect(seen()).not.toContain('data-testid="signed-out"');
    expect(seen()).toContain('href="/auth/login?return_to=%2Fc%2F1"');
  });
});
