import { afterEach, describe, expect, it, vi } from "vitest";
import { DELAYS, PIECE_BYTES, discard, sendInPieces, type Sending } from "./resumable";

const AT = "/api/uploads/u";
const FILE = new File(["x".repeat(PIECE_BYTES + 3)], "año.txt");

interface Call {
  method: string;
  path: string;
  offset: string | null;
  bytes: number;
}

/** A server that answers one call after the other, and what it was asked. */
function server(...answers: (Response | Error)[]): Call[] {
  const calls: Call[] = [];
  const fetch = async (path: unknown, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    expect(headers.get("tus-resumable")).toBe("1.0.0");
    calls.push({
      method: init.method ?? "GET",
      path: String(path),
      offset: headers.get("upload-offset"),
      bytes: init.body instanceof Blob ? init.body.size : 0,
    });
    const answer = answers.shift() ?? new Error("nobody answers");
    if (answer instanceof Error) throw answer;
    return answer;
  };
  vi.stubGlobal("fetch", fetch);
  return calls;
}

const begun = () => new Response(null, { status: 201, headers: { location: AT } });
const at = (offset: number, document?: string, status = 204) =>
  new Response(null, {
    status,
    headers: {
      "upload-offset": String(offset),
      ...(document ? { "x-lotoai-document-id": document } : {}),
    },
  });
const refused = (status: number, code: string) =>
  Response.json({ code, detail: "why" }, { status });
const lost = () => new TypeError("the connection was lost");

/** Sends the file without waiting; gives what was seen on the way. */
async function send(sending: Partial<Sending> = {}) {
  const seen = { bytes: [] as number[], waits: [] as number[], urls: [] as string[] };
  const id = await sendInPieces(FILE, {
    url: null,
    signal: new AbortController().signal,
    onBegun: (url) => seen.urls.push(url),
    onProgress: (bytes) => seen.bytes.push(bytes),
    onWaiting: () => {},
    wait: async (milliseconds) => void seen.waits.push(milliseconds),
    ...sending,
  });
  return { id, ...seen };
}

afterEach(() => vi.unstubAllGlobals());

describe("sendInPieces", () => {
  it("sends piece after piece and ends with the document", async () => {
    const calls = server(begun(), at(PIECE_BYTES), at(FILE.size, "d"));
    const sent = await send();
    expect(sent).toEqual({ id: "d", bytes: [0, PIECE_BYTES, FILE.size], waits: [], urls: [AT] });
    expect(calls).toEqual([
      { method: "POST", path: "/api/uploads", offset: null, bytes: 0 },
      { method: "PATCH", path: AT, offset: "0", bytes: PIECE_BYTES },
      { method: "PATCH", path: AT, offset: String(PIECE_BYTES), bytes: 3 },
    ]);
  });

  it("asks after a lost connection how far it came, and goes on from there", async () => {
    const calls = server(begun(), lost(), refused(423, "upload_in_use"), at(7, undefined, 200), at(7 + PIECE_BYTES - 4, "d"));
    const sent = await send();
    expect(sent.id).toBe("d");
    expect(sent.waits).toEqual([DELAYS[0], DELAYS[1]]);
    expect(calls.map(({ method }) => method)).toEqual(["POST", "PATCH", "HEAD", "HEAD", "PATCH"]);
    expect(calls[4]).toMatchObject({ offset: "7", bytes: PIECE_BYTES - 4 });
  });

  it("lets the document be made of what is there", async () => {
    const calls = server(at(FILE.size, undefined, 200), at(FILE.size, "d"));
    expect((await send({ url: AT })).id).toBe("d");
    expect(calls[1]).toMatchObject({ method: "PATCH", bytes: 0 });
    server(at(FILE.size, "d", 200));
    expect((await send({ url: AT })).id).toBe("d");
  });

  it("begins anew when the upload has expired", async () => {
    const gone = refused(410, "upload_expired");
    server(gone, begun(), at(PIECE_BYTES), at(FILE.size, "d"));
    expect((await send({ url: "/api/uploads/old" })).urls).toEqual([AT]);
  });

  it("tells at once what no attempt would mend", async () => {
    for (const [status, code] of [
      [415, "unsupported_media_type"],
      [413, "document_too_large"],
      [401, "session_expired"],
      [429, "too_many_uploads"],
    ] as const) {
      const calls = server(refused(status, code));
      await expect(send()).rejects.toMatchObject({ status, code });
      expect(calls).toHaveLength(1);
    }
  });

  it("says why when the look at what is there is refused, which has no body", async () => {
    server(new Response(null, { status: 415 }));
    await expect(send({ url: AT })).rejects.toMatchObject({
      status: 415,
      code: "unsupported_media_type",
    });
    server(...Array.from([0, ...DELAYS], () => new Response(null, { status: 423 })));
    await expect(send({ url: AT })).rejects.toMatchObject({ status: 423, code: "upload_in_use" });
    // What has no name of its own keeps its status: by it one is signed out.
    server(new Response(null, { status: 401 }));
    await expect(send({ url: AT })).rejects.toMatchObject({ status: 401 });
  });

  it("gives up after the last delay, and a piece that arrives begins them anew", async () => {
    server(begun(), at(PIECE_BYTES), ...Array.from(DELAYS, lost));
    await expect(send()).rejects.toMatchObject({ code: "network" });
    server(begun(), lost(), at(1, undefined, 200), at(2), lost(), at(2, undefined, 200), at(3, "d"));
    expect((await send()).waits).toEqual([DELAYS[0], DELAYS[0]]);
  });

  it("stops when it is told to, and can be gone on with", async () => {
    const stop = new AbortController();
    const calls = server(begun(), at(PIECE_BYTES), lost());
    const onProgress = (bytes: number) => bytes > 0 && stop.abort();
    await expect(send({ signal: stop.signal, onProgress })).rejects.toThrow();
    expect(calls).toHaveLength(3);
  });
});

describe("discard", () => {
  it("ends the upload, and does not mind when it cannot", async () => {
    const calls = server(new Response(null, { status: 204 }), lost());
    await discard(AT);
    await discard(AT);
    expect(calls.map(({ method }) => method)).toEqual(["DELETE", "DELETE"]);
  });
});
