import type { ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../api/http";
import type { ApiKey, Session } from "../../api/types";
import { I18nProvider } from "../../i18n/context";
import type { Language } from "../../i18n/dictionary";
import type { Pages } from "../../lib/usePages";
import { SignIn } from "../SignIn";
import { Account } from "./Account";
import { Question } from "./Confirm";
import { EraseForm } from "./Erase";
import { KeyRow } from "./Keys";
import { Listing } from "./Listing";
import { NewKey } from "./NewKey";
import { Secret } from "./Secret";
import { EndOthers, hasOthers, SessionRow } from "./Sessions";

let language: Language = "en";

/** What is seen of it. */
function seen(node: ReactNode): string {
  return renderToStaticMarkup(<I18nProvider>{node}</I18nProvider>);
}

/** The start tag of the element with this test id. */
function tag(html: string, id: string): string {
  return new RegExp(`<[^>]*data-testid="${id}"[^>]*>`).exec(html)?.[0] ?? "";
}

const nothing = () => undefined;
const done = () => Promise.resolve();
const down = new ApiError(503, "storage_down", "the database is away; ask again");

const key: ApiKey = {
  id: "0123",
  shown: "loto_0123…",
  name: "ci",
  scopes: ["chat", "documents:read"],
  models: null,
  created_at: "2026-11-01T10:00:00Z",
  expires_at: "2026-11-20T10:00:00Z",
  last_used_at: null,
};

const session: Session = {
  id: "s",
  user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  created_at: "2026-11-20T10:00:00Z",
  last_used_at: "2026-11-20T11:00:00Z",
  expires_at: "2026-11-20T20:00:00Z",
  current: false,
};

beforeEach(() => {
  language = "en";
  vi.stubGlobal("localStorage", { getItem: () => language });
  vi.stubGlobal("navigator", { languages: [] });
  vi.stubGlobal("location", { pathname: "/account" });
});
afterEach(() => vi.unstubAllGlobals());

describe("the page", () => {
  const page = (admin = false) =>
    seen(
      <Account
        me={{ subject: "a", name: "ana", groups: [], admin }}
        back="/"
        onClose={nothing}
        onError={nothing}
        onErased={nothing}
      />,
    );

  it("names its sections and leads to the documentation in its language", () => {
    expect(page()).toContain('href="/api/docs?lang=en"');
    language = "es";
    const html = page();
    expect(html).toContain('href="/api/docs?lang=es"');
    for (const title of ["Cuenta", "Mis claves de API", "Mis sesiones", "Mis datos"]) {
      expect(html).toContain(`>${title}</h`);
    }
  });

  it("shows keys and sessions of others to administrators alone", () => {
    expect(tag(page(), "others")).toBe("");
    expect(tag(page(true), "find-others")).not.toBe("");
  });

  it("has a label for every field, and every label a field", () => {
    const html = page();
    const ids = (pattern: RegExp) => [...html.matchAll(pattern)].map((match) => match[1]).sort();
    const labelled = ids(/<label for="([^"]+)"/g);
    expect(labelled).toHaveLength(3);
    expect(ids(/<input id="([^"]+)"/g)).toEqual(labelled);
  });
});

describe("a list", () => {
  const pages = (part: Partial<Pages<string>>): Pages<string> => ({
    items: null,
    error: null,
    hasMore: false,
    reload: nothing,
    more: done,
    add: nothing,
    remove: () => Promise.resolve(true),
    ...part,
  });
  const list = (part: Partial<Pages<string>>) =>
    seen(
      <Listing pages={pages(part)} none="none yet">
        {(item) => <li key={item}>{item}</li>}
      </Listing>,
    );

  it("is being read", () => {
    expect(list({})).toBe('<p role="status">Loading…</p>');
  });

  it("could not be read, says why and can be asked for again", () => {
    const html = list({ error: down });
    expect(html).toContain('<p role="alert" class="bad">the database is away; ask again</p>');
    expect(html).toContain("Try again");
    expect(html).not.toContain("none yet");
  });

  it("is empty", () => {
    expect(list({ items: [] })).toBe("<p>none yet</p>");
  });

  it("stays when something else fails", () => {
    const html = list({ items: ["one"], error: down, hasMore: true });
    expect(html).toContain("the database is away");
    expect(html).toContain("<li>one</li>");
    expect(html).toContain("Show more");
    expect(html).not.toContain("Try again");
  });
});

describe("a key", () => {
  const row = (part: Partial<ApiKey> = {}, now = "2026-11-10T10:00:00Z") =>
    seen(<KeyRow of={{ ...key, ...part }} now={Date.parse(now)} onRevoke={done} />);

  it("says what it may, until when, and that it was never used", () => {
    const html = row();
    for (const text of ["loto_0123…", "Ask questions · Read documents", "never used", "expires "]) {
      expect(html).toContain(text);
    }
    expect(html).toContain('aria-label="Revoke ci"');
    expect(html).not.toContain("expired");
  });

  it("says that it has expired, when it was used, and its models", () => {
    const html = row(
      { last_used_at: "2026-11-19T10:00:00Z", models: ["a", "b"] },
      "2026-11-20T10:00:00Z",
    );
    expect(html).toContain('<span class="bad">expired ');
    expect(html).toContain("last used ");
    expect(html).toContain("models: a, b");
    expect(html).not.toContain("never used");
  });

  it("says whose it is where that may be somebody else", () => {
    expect(row()).not.toContain("of eve");
    const html = seen(<KeyRow of={key} owner="eve" now={0} onRevoke={done} />);
    expect(html).toContain('<span class="status">of eve</span>');
  });

  it("shows a scope that this page does not know by its name", () => {
    expect(row({ scopes: ["video"] })).toContain(">video<");
  });

  it("is revoked only after a question", () => {
    expect(row()).not.toContain('data-testid="confirm"');
    const html = seen(
      <Question text="Revoke?" verb="Revoke" isBusy={false} onYes={nothing} onNo={nothing} />,
    );
    expect(html).toContain('aria-label="Revoke?"');
    expect(tag(html, "confirm")).not.toContain("disabled");
  });

  it("is shown once with a warning and cannot be changed there", () => {
    const html = seen(<Secret made={{ ...key, key: "loto_abc" }} onClose={nothing} />);
    const field = tag(html, "secret-key");
    expect(field).toContain('value="loto_abc"');
    expect(field.toLowerCase()).toContain("readonly");
    expect(html).toContain("It is not shown again");
    expect(html).toContain("The new key “ci”");
  });

  it("administers only where its maker does", () => {
    const form = (isAdmin: boolean) =>
      seen(<NewKey isAdmin={isAdmin} onMade={nothing} onError={nothing} />);
    expect(form(false)).not.toContain('name="admin"');
    expect(form(true)).toContain('name="admin"');
    // Nothing beyond questions is chosen for anybody.
    expect(form(true).match(/checked=""/g)).toHaveLength(1);
    expect(form(true)).toMatch(/name="chat" checked=""/);
  });
});

describe("a session", () => {
  const row = (part: Partial<Session>) =>
    seen(<SessionRow of={{ ...session, ...part }} onEnd={done} />);

  it("is marked where it is this one, which the page does not end", () => {
    const html = row({ current: true });
    expect(html).toContain("This session");
    expect(html).not.toContain("<button");
  });

  it("says whose it is where that may be somebody else", () => {
    const html = seen(<SessionRow of={session} owner="eve" onEnd={done} />);
    expect(html).toContain('<span class="status">of eve</span>');
  });

  it("can be ended where it is another", () => {
    const html = row({});
    expect(html).toContain("Firefox on Linux");
    expect(html).toContain('aria-label="End Firefox on Linux, since ');
    expect(html).not.toContain("This session");
  });

  it("is ended with all others only after a question, and only where there are others", () => {
    const html = seen(<EndOthers onEnd={done} />);
    expect(html).toContain("End all other sessions");
    expect(html).not.toContain('data-testid="confirm"');
    const here = { ...session, current: true };
    expect(hasOthers({ items: null, hasMore: false })).toBe(false);
    expect(hasOthers({ items: [here], hasMore: false })).toBe(false);
    expect(hasOthers({ items: [here], hasMore: true })).toBe(true);
    expect(hasOthers({ items: [here, session], hasMore: false })).toBe(true);
  });

  it("is called as it calls itself, as text", () => {
    expect(row({ user_agent: "<b>curl</b>" })).toContain("&lt;b&gt;curl&lt;/b&gt;");
    expect(row({ user_agent: "" })).toContain("Unknown browser");
  });
});

describe("to erase everything", () => {
  const form = (typed: string, part: { isBusy?: boolean; error?: unknown } = {}) =>
    seen(
      <EraseForm
        typed={typed}
        isBusy={part.isBusy ?? false}
        error={part.error ?? null}
        onType={nothing}
        onErase={nothing}
      />,
    );

  it("needs the phrase in the language of the page", () => {
    for (const typed of ["", "erase", "borrar todo"]) {
      expect(tag(form(typed), "erase-button"), typed).toContain("disabled");
    }
    expect(tag(form("erase everything"), "erase-button")).not.toContain("disabled");
    language = "es";
    expect(tag(form("erase everything"), "erase-button")).toContain("disabled");
    expect(tag(form("borrar todo"), "erase-button")).not.toContain("disabled");
  });

  it("happens once at a time", () => {
    const html = form("erase everything", { isBusy: true });
    expect(tag(html, "erase-button")).toContain("disabled");
    expect(html).toContain("Erasing…");
  });

  it("says why it stopped and that it goes on", () => {
    const html = form("erase everything", { error: down });
    expect(html).toContain("<p>the database is away; ask again</p><p>Try again: it goes on");
    expect(tag(html, "erase-button")).not.toContain("disabled");
  });

  it("ends with what is gone, where nobody is signed in", () => {
    const erased = {
      conversations: 3,
      documents: 2,
      api_keys: 1,
      usage_days: 0,
      open_questions: 0,
      budget_windows: 0,
      idempotency_keys: 0,
      sessions: 4,
    };
    expect(seen(<SignIn erased={erased} />)).toContain(
      "Conversations: 3. Documents: 2. API keys: 1. Sessions: 4.",
    );
    expect(seen(<SignIn />)).not.toContain('data-testid="erased"');
  });
});
