import { afterEach, describe, expect, it, vi } from "vitest";
import { account } from "./account";

function answer(response: Response) {
  const fetch = vi.fn<typeof globalThis.fetch>(async () => response);
  vi.stubGlobal("fetch", fetch);
  return () => fetch.mock.calls.map(([path, init]) => [init?.method ?? "GET", path, init?.body]);
}

const gone = () => new Response(null, { status: 204 });

afterEach(() => vi.unstubAllGlobals());

describe("keys", () => {
  it("are listed page by page", async () => {
    const calls = answer(Response.json({ items: [], next_cursor: null }));
    await account.keys("a+b/c=");
    expect(calls()).toEqual([["GET", "/api/keys?limit=50&cursor=a%2Bb%2Fc%3D", undefined]]);
  });

  it("are made with no more than was asked for", async () => {
    const calls = answer(Response.json({ id: "1", key: "loto_1" }, { status: 201 }));
    const wanted = { name: "ci", scopes: ["chat" as const], expires_in_days: 7 };
    expect(await account.makeKey(wanted)).toMatchObject({ key: "loto_1" });
    expect(calls()).toEqual([["POST", "/api/keys", JSON.stringify(wanted)]]);
  });

  it("are revoked, and nothing else is, whatever an id looks like", async () => {
    const calls = answer(gone());
    await account.removeKey("../me/data");
    expect(calls()).toEqual([["DELETE", "/api/keys/..%2Fme%2Fdata", undefined]]);
  });

  it("say why there can be no more of them", async () => {
    const detail = "you have 100 API keys; delete one that is not used";
    const problem = { type: "about:blank", title: "Conflict", status: 409, detail, code: "too_many_keys" };
    answer(Response.json(problem, { status: 409 }));
    const wanted = { name: "ci", scopes: [], expires_in_days: 7 };
    await expect(account.makeKey(wanted)).rejects.toMatchObject({
      code: "too_many_keys",
      message: detail,
    });
  });

  it("fail with the title of a problem that has no detail", async () => {
    answer(Response.json({ title: "Forbidden", code: "forbidden" }, { status: 403 }));
    await expect(account.keys()).rejects.toMatchObject({ status: 403, message: "Forbidden" });
  });
});

describe("sessions", () => {
  it("are listed and ended", async () => {
    let calls = answer(Response.json({ items: [], next_cursor: null }));
    await account.sessions();
    expect(calls()).toEqual([["GET", "/api/sessions?limit=50", undefined]]);
    calls = answer(gone());
    await account.endSession("s");
    expect(calls()).toEqual([["DELETE", "/api/sessions/s", undefined]]);
  });

  it("are ended all but this one, in one call", async () => {
    const calls = answer(Response.json({ sessions: 2 }));
    expect(await account.endOtherSessions()).toEqual({ sessions: 2 });
    expect(calls()).toEqual([["DELETE", "/api/sessions", undefined]]);
  });
});

describe("keys and sessions of others", () => {
  it("are everybody's, or those of one person", async () => {
    const calls = answer(Response.json({ items: [], next_cursor: null }));
    await account.keysOf("");
    expect(calls()).toEqual([["GET", "/api/admin/keys?limit=50", undefined]]);
    const others = answer(Response.json({ items: [], next_cursor: null }));
    await account.sessionsOf("a&b", "c=");
    expect(others()).toEqual([
      ["GET", "/api/admin/sessions?limit=50&cursor=c%3D&subject=a%26b", undefined],
    ]);
  });

  it("end, and nothing else does, whatever an id looks like", async () => {
    const calls = answer(gone());
    await account.endSessionOf("../budgets/all");
    expect(calls()).toEqual([
      ["DELETE", "/api/admin/sessions/..%2Fbudgets%2Fall", undefined],
    ]);
  });
});

describe("one's data", () => {
  it("comes as a file", async () => {
    const calls = answer(new Response('{"profile":{}}'));
    expect(await (await account.exportAll()).text()).toBe('{"profile":{}}');
    expect(calls()).toEqual([["GET", "/api/me/export", undefined]]);
  });

  it("is no file when it broke off", async () => {
    const body = new ReadableStream({
      pull: (controller) => controller.error(new TypeError("network error")),
    });
    answer(new Response(body));
    await expect(account.exportAll()).rejects.toMatchObject({ code: "export_incomplete" });
  });

  it("is erased with the words that the gateway wants", async () => {
    const calls = answer(Response.json({ conversations: 2 }));
    expect(await account.eraseAll()).toMatchObject({ conversations: 2 });
    expect(calls()).toEqual([["DELETE", "/api/me/data?confirm=erase-everything", undefined]]);
  });
});
