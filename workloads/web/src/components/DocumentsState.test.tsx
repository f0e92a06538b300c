import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../api/http";
import type { Document } from "../api/types";
import { I18nProvider } from "../i18n/context";
import { DocumentsState } from "./DocumentsState";

const down = new ApiError(503, "storage_down", "the database is away; ask again");
const refused = new ApiError(403, "not_your_document", "it belongs to somebody else");

type Part = Partial<Parameters<typeof DocumentsState>[0]>;

function seen(part: Part): string {
  return renderToStaticMarkup(
    <I18nProvider>
      <DocumentsState
        documents={null}
        isSending={false}
        listError={null}
        actionError={null}
        onRetry={() => undefined}
        {...part}
      />
    </I18nProvider>,
  );
}

beforeEach(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en" });
  vi.stubGlobal("navigator", { languages: [] });
});
afterEach(() => vi.unstubAllGlobals());

describe("the list of documents", () => {
  it("is being read", () => {
    expect(seen({})).toBe('<p role="status">Loading…</p>');
  });

  it("could not be read, says why and can be asked for again", () => {
    const html = seen({ listError: down });
    expect(html).toContain("The list of documents could not be read.");
    expect(html).toContain("the database is away; ask again");
    expect(html).toContain('data-testid="documents-retry"');
    // That it could not be read is not that there is nothing.
    expect(html).not.toContain("No documents yet");
    expect(html).not.toContain("Loading");
  });

  it("stays when a later reading fails, and says that it may be old", () => {
    const html = seen({ documents: [{} as Document], listError: down });
    expect(html).toContain("What is shown may be out of date.");
    expect(html).not.toContain("could not be read");
  });

  it("is empty only when it was read and nothing is on its way", () => {
    expect(seen({ documents: [] })).toBe("<p>No documents yet.</p>");
    expect(seen({ documents: [], isSending: true })).toBe("");
    expect(seen({ documents: [], listError: down })).not.toContain("No documents yet");
  });

  it("says why a document could not be changed, which reading it again does not mend", () => {
    const html = seen({ documents: [{} as Document], actionError: refused });
    expect(html).toContain("Only the person who uploaded this document");
    expect(html).not.toContain("Try again");
  });
});
