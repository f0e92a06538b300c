import { ApiError, isGone, request } from "./http";

/** Files beyond this many bytes are sent in pieces; a smaller one is there before one could pause. */
export const RESUMABLE_FROM = 4 * 1024 * 1024;
/** Bytes of a piece: what the progress moves by. */
export const PIECE_BYTES = 2 * 1024 * 1024;
/** Milliseconds before each attempt after one that failed; a piece that arrives begins them anew. */
export const DELAYS = [1000, 2000, 5000, 10_000, 30_000, 60_000];

const ENDPOINT = "/api/uploads";
const VERSION = { "tus-resumable": "1.0.0" };

/** What a refusal of HEAD means: it may make the document, and its answer has no body to say why not. */
const CODES: Record<number, string> = {
  410: "upload_expired",
  415: "unsupported_media_type",
  423: "upload_in_use",
  503: "object_storage_unavailable",
};

/** How a file is sent, and who watches. */
export interface Sending {
  /** Where an earlier attempt has begun it; null for the first one. */
  url: string | null;
  /** Aborted, it stops after what has arrived, and can be gone on with. */
  signal: AbortSignal;
  onBegun(url: string): void;
  /** Bytes that the server has. */
  onProgress(bytes: number): void;
  /** Whether it waits for the connection. */
  onWaiting(waiting: boolean): void;
  /** Waits before another attempt. */
  wait?(milliseconds: number, signal: AbortSignal): Promise<void>;
}

interface Progress {
  offset: number;
  documentId: string | null;
}

/**
 * Sends a file in pieces, by tus 1.0, and goes on by itself after the connection was lost. Resolves
 * with the id of the document that it has become. Rejects with {@link ApiError} when it cannot go on,
 * and when it was aborted.
 */
export async function sendInPieces(file: File, sending: Sending): Promise<string> {
  const { signal, wait = pause } = sending;
  let url = sending.url;
  let known: Progress | null = null;
  let failures = 0;
  for (;;) {
    try {
      if (url === null) {
        url = await begin(file, signal);
        sending.onBegun(url);
        known = { offset: 0, documentId: null };
      }
      known ??= await look(url, signal);
      sending.onWaiting(false);
      sending.onProgress(known.offset);
      if (known.documentId !== null) return known.documentId;
      // Also when all bytes are there: then a piece of none lets the document be made.
      const next = await add(url, file, known.offset, signal);
      if (next.offset === known.offset && next.documentId === null) {
        throw new ApiError(0, "network", "nothing of the piece arrived");
      }
      known = next;
      failures = 0;
    } catch (error) {
      const delay = DELAYS[failures++];
      if (signal.aborted || delay === undefined || !mayGoOn(error)) throw error;
      // What arrived before it broke off, only the server knows.
      known = null;
      // Then it must begin anew.
      if (isGone(error)) url = null;
      sending.onWaiting(true);
      await wait(delay, signal);
    }
  }
}

/** Ends an upload that is not wanted any more; one that cannot be reached ends by itself in a day. */
export async function discard(url: string): Promise<void> {
  try {
    await request(url, { method: "DELETE", headers: VERSION });
  } catch {
    // Nothing depends on it.
  }
}

async function begin(file: File, signal: AbortSignal): Promise<string> {
  const response = await request(ENDPOINT, {
    method: "POST",
    headers: {
      ...VERSION,
      "upload-length": String(file.size),
      "upload-metadata": "filename " + base64(file.name),
    },
    signal,
  });
  const url = response.headers.get("location");
  if (!url) throw new ApiError(response.status, "network", "no address for the upload");
  return url;
}

async function look(url: string, signal: AbortSignal): Promise<Progress> {
  try {
    return progress(await request(url, { method: "HEAD", headers: VERSION, signal }));
  } catch (error) {
    throw named(error);
  }
}

/** A refusal without a body, with the code that the gateway would have given it there. */
function named(error: unknown): unknown {
  if (!(error instanceof ApiError)) return error;
  const code = CODES[error.status];
  return code ? new ApiError(error.status, code, error.message) : error;
}

async function add(url: string, file: File, offset: number, signal: AbortSignal) {
  const response = await request(url, {
    method: "PATCH",
    headers: {
      ...VERSION,
      "content-type": "application/offset+octet-stream",
      "upload-offset": String(offset),
    },
    body: file.slice(offset, offset + PIECE_BYTES),
    signal,
  });
  return progress(response);
}

function progress(response: Response): Progress {
  const offset = Number(response.headers.get("upload-offset") ?? Number.NaN);
  if (!Number.isSafeInteger(offset)) throw new ApiError(0, "network", "no word of the upload");
  return { offset, documentId: response.headers.get("x-lotoai-document-id") };
}

/** Whether the same may succeed later, or from where the server says. */
function mayGoOn(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  const { status, code } = error;
  if (code === "too_many_uploads") return false;
  return status === 0 || status >= 500 || [408, 409, 423, 429].includes(status) || isGone(error);
}

/** UTF-8 in base64. */
function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** Waits, but no longer than until the connection is back. Rejects when it is aborted. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(end, milliseconds);
    addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
}
