import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Document } from "../api/types";
import { awaited } from "../testing/awaited";
import { document as indexed } from "../testing/document";
import { hookOn } from "../testing/hook";
import { FakePage } from "../testing/page";
import { useDocuments } from "./useDocuments";

const PAGE = 50;

/** Ids rise with time; the newest is listed first. */
const idOf = (number: number) => "d-" + String(number).padStart(3, "0");

/** One that was made just now. */
const document = (id: string, fields: Partial<Document> = {}) =>
  indexed(id, { created_at: new Date().toISOString(), ...fields });

/** Sixty documents as the gateway has them. */
class Server {
  readonly documents = new Map<string, Document>();
  readonly calls: string[] = [];
  /** Names of the files that were sent. */
  readonly uploads: string[] = [];
  /** How many calls were broken off. */
  left = 0;
  /** What is answered once instead, by the call. */
  readonly instead = new Map<string, () => Response | Promise<Response>>();

  constructor() {
    for (let number = 1; number <= 60; number++) this.set(number, {});
  }

  set(number: number, fields: Partial<Document>): Document {
    const id = idOf(number);
    const changed = document(id, fields);
    this.documents.set(id, changed);
    return changed;
  }

  async answer(path: string, init: RequestInit = {}): Promise<Response> {
    const call = `${init.method ?? "GET"} ${path}`;
    this.calls.push(call);
    if (init.body instanceof FormData) this.uploads.push((init.body.get("file") as File).name);
    const instead = this.instead.get(call);
    this.instead.delete(call);
    return instead ? await instead() : this.usual(call, path);
  }

  private usual(call: string, path: string): Response {
    const [, id, action] = /^\/api\/documents\/([^/?]+)\/?(\w*)$/.exec(path) ?? [];
    if (id === undefined) return call.startsWith("POST") ? refused(500, "unexpected") : this.page(path);
    const known = this.documents.get(id);
    if (!known) return refused(404, "document_not_found");
    if (call.startsWith("DELETE")) this.documents.delete(id);
    if (action === "retry") this.documents.set(id, { ...known, status: "uploaded", error: null });
    return Response.json(this.documents.get(id) ?? known);
  }

  /** A page of the list as it is now. */
  page(path: string): Response {
    const after = new URL(path, "http://localhost").searchParams.get("cursor") ?? "e";
    const below = [...this.documents.values()].filter((it) => it.id < after);
    const items = below.sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, PAGE);
    const next = below.length > items.length ? items.at(-1)!.id : null;
    return Response.json({ items, next_cursor: next });
  }

  of(call: string): number {
    return this.calls.filter((it) => it === call).length;
  }
}

function refused(status: number, code: string): Response {
  return Response.json({ code, title: "no" }, { status });
}

const LIST = "GET /api/documents?limit=50";
const UPLOAD = "POST /api/documents";
const onError = vi.fn();

let page: FakePage;
let server: Server;

beforeEach(() => {
  vi.clearAllMocks();
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] });
  page = new FakePage();
  server = new Server();
  vi.stubGlobal("fetch", (path: string, init?: RequestInit) => {
    const { signal } = init ?? {};
    const left = new Promise<never>((_, reject) =>
      signal?.addEventListener("abort", () => {
        server.left++;
        reject(signal.reason as Error);
      }),
    );
    return Promise.race([server.answer(path, init), left]);
  });
});
afterEach(async () => {
  await page.unmount();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function shown() {
  const hook = await hookOn(page, () => useDocuments(onError));
  const known = (number: number) => hook.now.documents?.find((it) => it.id === idOf(number));
  return {
    state: () => hook.now,
    known,
    statusOf: (number: number) => known(number)?.status,
    after: (deed: (now: typeof hook.now) => unknown) => page.after(() => void deed(hook.now)),
  };
}

/** The next look at the list. */
const poll = () => page.after(() => void vi.advanceTimersByTime(1500));

const file = (name: string) => new File(["x"], name);

describe("a document beyond the first page", () => {
  it("is followed to its end when its content is replaced, and then nothing is read any more", async () => {
    const { statusOf, after } = await shown();
    server.instead.set(UPLOAD, () => Response.json(server.set(3, { status: "uploaded" }), { status: 202 }));
    await after((now) => now.upload([file("three.txt")]));
    expect(statusOf(3)).toBe("uploaded");
    server.set(3, { status: "indexing", step: "parsing" });
    await poll();
    expect(statusOf(3)).toBe("indexing");
    server.set(3, { status: "indexed" });
    await poll();
    expect(statusOf(3)).toBe("indexed");
    const calls = server.calls.length;
    await poll();
    expect(server.calls).toHaveLength(calls);
  });

  it("is on its way again after a retry", async () => {
    server.set(3, { status: "failed", error: { code: "not_utf8", message: "m" } });
    const { statusOf, after } = await shown();
    await after((now) => now.more());
    expect(statusOf(3)).toBe("failed");
    await after((now) => now.retry(idOf(3)));
    expect(statusOf(3)).toBe("uploaded");
    server.set(3, {});
    await poll();
    expect(statusOf(3)).toBe("indexed");
  });

  it("is out when it was deleted elsewhere while it moved", async () => {
    server.set(3, { status: "uploaded" });
    const { known, after } = await shown();
    await after((now) => now.more());
    server.documents.delete(idOf(3));
    await poll();
    expect(known(3)).toBeUndefined();
    expect(onError).not.toHaveBeenCalled();
  });
});

describe("the pages of the list", () => {
  it("are all shown once they are, however often the first one is read again", async () => {
    server.set(60, { status: "indexing", step: "embedding" });
    const { state, after } = await shown();
    expect(state().hasMore).toBe(true);
    await after((now) => now.more());
    expect(state().hasMore).toBe(false);
    await poll();
    await poll();
    expect(server.of(LIST)).toBe(3);
    expect(state().hasMore).toBe(false);
    expect(state().documents).toHaveLength(60);
  });

  it("do not lose what was sent, nor bring back what was deleted, while one was being read", async () => {
    server.set(60, { status: "indexing", step: "embedding" });
    const { known, after } = await shown();
    /** Does something while the list is read, which is then told as it was before. */
    const meanwhile = async (deed: Parameters<typeof after>[0]) => {
      const slow = awaited<Response>();
      const old = server.page("/api/documents");
      server.instead.set(LIST, () => slow.promise);
      await poll();
      await after(deed);
      await after(() => slow.resolve(old));
    };
    server.instead.set(UPLOAD, () => Response.json(server.set(61, { status: "uploaded" })));
    await meanwhile((now) => now.upload([file("new.txt")]));
    expect(known(61)?.status).toBe("uploaded");
    await meanwhile((now) => {
      server.set(61, { status: "indexing" });
      return now.reload();
    });
    expect(known(61)?.status).toBe("indexing");
    await meanwhile((now) => now.remove(idOf(59)));
    expect(known(59)).toBeUndefined();
    expect(known(58)).toBeDefined();
  });
});

describe("a document that is deleted", () => {
  const call = "DELETE /api/documents/" + idOf(7);

  it("is gone at once, and back when that is refused", async () => {
    const { state, known, after } = await shown();
    const answer = awaited<Response>();
    server.instead.set(call, () => answer.promise);
    await after((now) => now.more());
    await after((now) => now.remove(idOf(7)));
    expect(known(7)).toBeUndefined();
    await after(() => answer.resolve(refused(403, "not_your_document")));
    expect(known(7)?.status).toBe("indexed");
    expect(state().actionError).toMatchObject({ code: "not_your_document" });
  });

  it("is read again when it is not known whether it was deleted", async () => {
    const { known, after } = await shown();
    await after((now) => now.more());
    server.instead.set(call, () => refused(503, "storage_unavailable"));
    await after((now) => now.remove(idOf(7)));
    expect(known(7)?.status).toBe("indexed");
    server.instead.set(call, () => {
      server.documents.delete(idOf(7));
      return refused(503, "storage_outcome_unknown");
    });
    await after((now) => now.remove(idOf(7)));
    expect(known(7)).toBeUndefined();
  });

  it("is gone also when it was before", async () => {
    const { state, known, after } = await shown();
    server.documents.delete(idOf(58));
    await after((now) => now.remove(idOf(58)));
    expect(known(58)).toBeUndefined();
    expect(state().actionError).toBeNull();
  });
});

describe("a file that is taken back", () => {
  it("is not sent where its turn had not come, and the next one is", async () => {
    const { state, after } = await shown();
    const first = awaited<Response>();
    server.instead.set(UPLOAD, () => first.promise);
    await after((now) => now.upload([file("a.txt"), file("b.txt"), file("c.txt")]));
    await after((now) => now.cancel(now.pending[1]!));
    expect(state().pending.map((it) => it.file.name)).toEqual(["a.txt", "c.txt"]);
    const third = awaited<Response>();
    server.instead.set(UPLOAD, () => third.promise);
    await after(() => first.resolve(Response.json(server.set(61, {}))));
    expect(server.uploads).toEqual(["a.txt", "c.txt"]);
    await after(() => third.resolve(Response.json(server.set(62, {}))));
    expect(state().pending).toEqual([]);
  });

  it("is broken off while it is sent at once, and shown where it had arrived", async () => {
    const { state, known, after } = await shown();
    server.instead.set(UPLOAD, () => {
      server.set(61, {});
      return new Promise(() => undefined);
    });
    await after((now) => now.upload([file("a.txt")]));
    await after((now) => now.cancel(now.pending[0]!));
    expect(server.left).toBe(1);
    expect(state().pending).toEqual([]);
    expect(known(61)).toBeDefined();
    expect(onError).not.toHaveBeenCalled();
  });
});
