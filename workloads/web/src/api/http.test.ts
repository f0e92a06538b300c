import { afterEach, describe, expect, it, vi } from "vitest";
import { api, ApiError, isGone, json, request } from "./http";

function answer(body: unknown, status = 200) {
  const fetch = vi.fn<typeof globalThis.fetch>(async () => Response.json(body, { status }));
  vi.stubGlobal("fetch", fetch);
  return fetch;
}

afterEach(() => vi.unstubAllGlobals());

describe("conversations", () => {
  it("are searched by whatever was written", async () => {
    const fetch = answer({ items: [], next_cursor: null });
    await api.searchConversations("año & más #1", "abc");
    expect(fetch.mock.calls[0]?.[0]).toBe(
      "/api/conversations/search?limit=30&q=a%C3%B1o%20%26%20m%C3%A1s%20%231&cursor=abc",
    );
  });

  it("are renamed, branched and brought back", async () => {
    const fetch = answer({ id: "b", title: "t" });
    await api.renameConversation("a", "t");
    await api.branchConversation("a", "m");
    await api.restoreConversation("a");
    const calls = fetch.mock.calls.map(([path, init]) => [path, init?.method, init?.body]);
    expect(calls).toEqual([
      ["/api/conversations/a", "PATCH", '{"title":"t"}'],
      ["/api/conversations/a/branch", "POST", '{"message_id":"m"}'],
      ["/api/conversations/a/restore", "POST", undefined],
    ]);
  });

  it("have their messages page by page", async () => {
    const fetch = answer({ items: [], next_cursor: null });
    await api.messages("a");
    await api.messages("a", "b+c");
    expect(fetch.mock.calls.map(([path]) => path)).toEqual([
      "/api/conversations/a/messages?limit=100",
      "/api/conversations/a/messages?limit=100&cursor=b%2Bc",
    ]);
  });

  it("come as a file for people", async () => {
    const fetch = answer("# t");
    expect(await (await api.exportConversation("a")).text()).toBe('"# t"');
    expect(fetch.mock.calls[0]?.[0]).toBe("/api/conversations/a/export?format=markdown");
  });

  it("say why not, with the code of the problem", async () => {
    answer({ code: "message_not_found", detail: "there is no such message" }, 404);
    await expect(api.branchConversation("a", "m")).rejects.toMatchObject({
      status: 404,
      code: "message_not_found",
    });
  });
});

describe("a body that breaks off", () => {
  const broken = (status: number, cause: unknown = new TypeError("network error")) =>
    new Response(new ReadableStream({ pull: (controller) => controller.error(cause) }), { status });

  it("is no answer, whether it is one or a refusal", async () => {
    const network = { status: 0, code: "network" };
    for (const status of [200, 503]) {
      vi.stubGlobal("fetch", async () => broken(status));
      await expect(api.me()).rejects.toMatchObject(network);
      await expect(api.signOut()).rejects.toMatchObject(network);
    }
    vi.stubGlobal("fetch", async () => new Response("<title>Hotel</title>"));
    await expect(api.me()).rejects.toMatchObject(network);
    // The control.
    vi.stubGlobal("fetch", async () => Response.json({ subject: "ana" }));
    expect((await api.me()).subject).toBe("ana");
  });

  it("is none of the network's where it was left", async () => {
    const left = new DOMException("left", "AbortError");
    const signal = AbortSignal.abort(left);
    for (const status of [200, 503]) {
      vi.stubGlobal("fetch", async () => broken(status, left));
      await expect(json("/api/me", { signal })).rejects.toBe(left);
    }
    await expect(request("/api/me", { signal })).rejects.toBe(left);
  });
});

describe("isGone", () => {
  it("is what is not there, and not what could not be asked", () => {
    expect(isGone(new ApiError(404, "session_not_found", "there is no such session"))).toBe(true);
    expect(isGone(new ApiError(410, "upload_expired", "it has ended"))).toBe(true);
    expect(isGone(new ApiError(503, "storage_down", "the database is away"))).toBe(false);
    expect(isGone(new ApiError(0, "network", "no answer"))).toBe(false);
    expect(isGone(new TypeError("404"))).toBe(false);
  });
});

describe("a list that is read again and again", () => {
  it("is given up like one that nobody answers", async () => {
    const timeout = vi.spyOn(AbortSignal, "timeout");
    const given = new AbortController();
    timeout.mockReturnValue(given.signal);
    const dead = (_: unknown, init?: RequestInit) =>
      new Promise<Response>((_, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason as Error));
      });
    vi.stubGlobal("fetch", vi.fn<typeof globalThis.fetch>(dead));
    const reading = api.documents();
    given.abort(new DOMException("too late", "TimeoutError"));
    await expect(reading).rejects.toMatchObject({ status: 0, code: "network" });
    expect(timeout).toHaveBeenCalledWith(30_000);
    timeout.mockRestore();
    // The control: who stops it himself hears of no network.
    const stopped = new AbortController();
    const asking = json("/api/me", { signal: stopped.signal });
    stopped.abort();
    await expect(asking).rejects.toMatchObject({ name: "AbortError" });
  });
});
