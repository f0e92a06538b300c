import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { I18nProvider } from "../i18n/context";
import type { Language } from "../i18n/dictionary";
import type { Ending } from "../lib/ending";
import type { SignInFailure } from "../lib/signInFailure";
import { SignIn } from "./SignIn";

let language: Language = "en";

function seen(ending?: Ending, failure?: SignInFailure): string {
  return renderToStaticMarkup(
    <I18nProvider>
      <SignIn {...(ending && { ending })} {...(failure && { failure })} />
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

  it("says why a sign-in failed, what to do, and where the administrator finds it", () => {
    const failure: SignInFailure = { text: "signIn.failed.sign_in_refused", request: "a1-b2" };
    const page = seen("over", failure);
    expect(page).toContain('role="alert"');
    expect(page).toContain("or ask your administrator for access.");
    expect(page).toContain("<code>a1-b2</code>");
    expect(page).toContain(">Sign in again</a>");
    expect(page).not.toContain('data-testid="signed-out"');
    language = "es";
    expect(seen(undefined, failure)).toContain("o pide acceso a quien administra la plataforma.");
    expect(seen(undefined, failure)).toContain(">Iniciar sesión de nuevo</a>");
  });

  it("names no request where none is known, and lets nothing be HTML", () => {
    const failure: SignInFailure = { text: "signIn.failed.other", request: null };
    expect(seen(undefined, failure)).not.toContain("<code>");
    const page = seen(undefined, { ...failure, request: "<script>x</script>" });
    expect(page).not.toContain("<script");
    expect(page).toContain("&lt;script&gt;");
  });
});
