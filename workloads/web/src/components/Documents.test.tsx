import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../api/http";
import type { Document } from "../api/types";
import { I18nProvider } from "../i18n/context";
import type { PendingFile } from "../lib/useUploads";
import { DocumentRow, PendingRow } from "./Documents";

const nothing = () => {};
const FILE = new File(["x".repeat(8)], "plan.txt");

function row(fields: Partial<PendingFile>): string {
  const entry: PendingFile = {
    key: 1,
    file: FILE,
    error: null,
    sent: null,
    state: "sending",
    url: null,
    ...fields,
  };
  const calls = { resend: nothing, pause: nothing, cancel: nothing };
  return renderToStaticMarkup(
    <I18nProvider>
      <PendingRow entry={entry} {...calls} />
    </I18nProvider>,
  );
}

let language = "en";

beforeEach(() => {
  language = "en";
  vi.stubGlobal("localStorage", { getItem: () => language });
  vi.stubGlobal("navigator", { languages: [] });
});
afterEach(() => vi.unstubAllGlobals());

describe("a file on its way", () => {
  it("shows how far it is, and can be paused and cancelled", () => {
    const html = row({ sent: 2 });
    expect(html).toContain('data-status="uploading"');
    expect(html).toContain("25 %");
    // The list is told to who does not see it, and a percentage would be with every piece.
    expect(html).toMatch(/uploading…<span aria-live="off">/);
    expect(html).toContain('aria-label="Pause the upload of plan.txt"');
    expect(html).toContain('aria-label="Cancel the upload of plan.txt"');
  });

  it("can be gone on with when it is paused", () => {
    const html = row({ sent: 2, state: "paused" });
    expect(html).toContain('data-status="paused"');
    expect(html).toContain('aria-label="Go on with the upload of plan.txt"');
    expect(html).not.toContain("upload-pause");
  });

  it("says that it waits for the connection", () => {
    expect(row({ sent: 2, state: "waiting" })).toContain("connection lost");
  });

  it("can be cancelled before its first byte, but not paused", () => {
    const html = row({});
    expect(html).toContain('aria-label="Cancel the upload of plan.txt"');
    expect(html).not.toContain("upload-pause");
  });

  it("says why it failed", () => {
    const html = row({ sent: 2, error: new ApiError(413, "document_too_large", "why") });
    expect(html).toContain("The file is too large.");
    expect(html).toContain("Try again");
  });
});

describe("a document", () => {
  /** As a replica from before an upgrade tells it: without its steps. */
  const document: Document = {
    id: "d-1",
    name: "plan.txt",
    media_type: "text/plain",
    size: 8,
    knowledge_base: "default",
    status: "uploaded",
    step: null,
    done: 0,
    total: 0,
    chunks: null,
    error: null,
    created_at: "2026-11-27T00:00:00Z",
  };
  const shown = (fields: Partial<Document>, mayRetry = false) =>
    renderToStaticMarkup(
      <I18nProvider>
        <ul>
          <DocumentRow
            document={{ ...document, ...fields }}
            mayRetry={mayRetry}
            retry={nothing}
            remove={nothing}
          />
        </ul>
      </I18nProvider>,
    );

  it("has its steps where they are told, and is shown where they are not", () => {
    const step = { step: "parsing", began_at: "2026-11-27T00:00:00Z", ended_at: null, done: 0, total: 0 };
    expect(shown({ steps: [step] })).toContain("document-steps");
    const html = shown({});
    expect(html).toContain('data-name="plan.txt"');
    expect(html).not.toContain("document-steps");
  });

  it("can be downloaded under its name", () => {
    const html = shown({});
    expect(html).toContain('href="/api/documents/d-1/content" download="plan.txt"');
    expect(html).toContain('aria-label="Download plan.txt"');
  });

  it("offers what may be done with it, and nothing of somebody else's", () => {
    const remove = 'aria-label="Delete plan.txt"';
    expect(shown({})).toContain(remove);
    expect(shown({})).not.toContain("Try again");
    expect(shown({}, true)).toContain("Try again");
    expect(shown({ may_change: true }, true)).toContain(remove);
    const html = shown({ may_change: false }, true);
    expect(html).not.toContain("<button");
    expect(html).toContain('download="plan.txt"');
  });

  it("says why it failed in the language of the page, and in the server's where that is new", () => {
    const failed = (code: string) => shown({ status: "failed", error: { code, message: "in words" } });
    expect(failed("not_utf8")).toContain("failed: It is not in UTF-8. Save it as UTF-8");
    expect(failed("quite_new")).toContain("failed: in words");
    language = "es";
    expect(failed("not_utf8")).toContain("falló: No está en UTF-8. Guárdalo en UTF-8");
  });

  it("counts its passages as people do", () => {
    const indexed = (chunks: number) => shown({ status: "indexed", chunks });
    expect(indexed(1)).toContain("ready · 1 passage<");
    expect(indexed(2)).toContain("ready · 2 passages<");
    language = "es";
    expect(indexed(1)).toContain("listo · 1 pasaje<");
    expect(indexed(0)).toContain("listo · 0 pasajes<");
  });
});
