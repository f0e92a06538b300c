import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../api/http";
import { I18nProvider } from "../i18n/context";
import type { Turn } from "../lib/useConversation";
import { Turns } from "./Turns";

const nothing = () => undefined;
const done = () => Promise.resolve();

const turn: Turn = {
  key: "m",
  runId: null,
  role: "user",
  text: "How many?",
  decision: null,
  citations: [],
  toolCalls: [],
  approvals: [],
  state: "done",
};

let language = "en";

function seen(part: { turns?: Turn[]; hasOlder?: boolean }): string {
  const conversation = {
    id: "c",
    turns: [turn],
    reading: "read" as const,
    hasOlder: false,
    busy: false,
    branch: done,
    decide: () => Promise.resolve(null),
    loadOlder: done,
    ...part,
  };
  return renderToStaticMarkup(
    <I18nProvider>
      <Turns
        conversation={conversation}
        onCitation={nothing}
        onUsage={nothing}
        onError={nothing}
      />
    </I18nProvider>,
  );
}

beforeEach(() => {
  language = "en";
  vi.stubGlobal("localStorage", { getItem: () => language });
  vi.stubGlobal("navigator", { languages: [] });
});
afterEach(() => vi.unstubAllGlobals());

describe("an open conversation", () => {
  it("keeps the question of an answer that failed before its first word, and says why", () => {
    const error = new ApiError(200, "agents_unavailable", "m");
    const answer: Turn = { ...turn, key: "a", runId: "r", role: "assistant", text: "", state: "failed", error };
    const html = seen({ turns: [turn, answer] });
    expect(html).toContain("How many?");
    expect(html).toContain('data-state="failed"');
    expect(html).toContain("Models cannot be asked right now.");
  });

  it("offers older messages above those that are shown, where there are any", () => {
    const html = seen({ hasOlder: true });
    expect(html).toContain(">Load older messages</button>");
    expect(html.indexOf('data-testid="older"')).toBeLessThan(html.indexOf("<article"));
    language = "es";
    expect(seen({ hasOlder: true })).toContain(">Cargar mensajes anteriores</button>");
  });

  it("offers none where all are shown", () => {
    expect(seen({})).toContain("How many?");
    expect(seen({})).not.toContain("<button");
    expect(seen({ turns: [] })).not.toContain("<button");
  });
});
