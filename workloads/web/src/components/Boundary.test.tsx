import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { I18nProvider } from "../i18n/context";
import { Boundary } from "./Boundary";

let language = "en";

beforeEach(() => {
  language = "en";
  vi.stubGlobal("localStorage", { getItem: () => language });
  vi.stubGlobal("navigator", { languages: [] });
});
afterEach(() => vi.unstubAllGlobals());

/** What stands on the page of a part; the server's renderer tells a boundary of no error by itself. */
function seen({ isBroken }: { isBroken: boolean }): string {
  const boundary = new Boundary({ children: <p>documents</p> });
  if (isBroken) boundary.state = Boundary.getDerivedStateFromError();
  return renderToStaticMarkup(<I18nProvider>{boundary.render()}</I18nProvider>);
}

describe("a part of the page", () => {
  it("is shown as it is while it can be", () => {
    expect(seen({ isBroken: false })).toBe("<p>documents</p>");
  });

  it("says so where it cannot be shown, with a way to reload", () => {
    const html = seen({ isBroken: true });
    expect(html).toContain('role="alert"');
    expect(html).toContain("This part of the page cannot be shown.");
    expect(html).toContain(">Reload the page</button>");
    expect(html).not.toContain("documents");
    language = "es";
    expect(seen({ isBroken: true })).toContain(">Recargar la página</button>");
  });
});
