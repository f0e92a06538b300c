import { useCallback, useRef, useState } from "react";
import { api } from "../api/http";
import { RESUMABLE_FROM, discard, sendInPieces } from "../api/resumable";
import type { Document } from "../api/types";

/** A file on its way to the server, or one that the server did not take. */
export interface PendingFile {
  key: number;
  file: File;
  error: unknown;
  /** Bytes that the server has; null for a file that is sent at once, or whose turn has not come. */
  sent: number | null;
  /** `waiting` for the connection, `paused` by the person. */
  state: "sending" | "waiting" | "paused";
  /** Where the pieces go, once it has begun. */
  url: string | null;
}

/** Who hears what becomes of the files. */
export interface UploadListener {
  onSent(document: Document): void;
  /** One was taken back while it was sent at once: it may have arrived all the same. */
  onBrokenOff(): void;
  onError(error: unknown): void;
}

let keys = 0;

/** The files on their way to the server. */
export function useUploads({ onSent, onBrokenOff, onError }: UploadListener) {
  const [pending, setPending] = useState<PendingFile[]>([]);
  /** What stops the files that are being sent. */
  const stops = useRef(new Map<number, AbortController>());
  /** The files whose turn has not come. */
  const queued = useRef(new Set<number>());

  const change = useCallback(
    (key: number, fields: Partial<PendingFile>) =>
      setPending((all) => all.map((it) => (it.key === key ? { ...it, ...fields } : it))),
    [],
  );

  const dismiss = useCallback(
    (entry: PendingFile) => setPending((all) => all.filter((it) => it.key !== entry.key)),
    [],
  );

  const send = useCallback(
    async (entry: PendingFile) => {
      const { key } = entry;
      const stop = new AbortController();
      stops.current.set(key, stop);
      try {
        const document = await deliver(entry, stop.signal, (fields) => change(key, fields));
        dismiss(entry);
        onSent(document);
      } catch (error) {
        // Who stopped it says what it is then.
        if (stop.signal.aborted) return;
        change(key, { error });
        onError(error);
      } finally {
        if (stops.current.get(key) === stop) stops.current.delete(key);
      }
    },
    [change, dismiss, onSent, onError],
  );

  const upload = useCallback(
    async (files: File[]) => {
      const entries = files.map(pendingFile);
      for (const { key } of entries) queued.current.add(key);
      setPending((all) => [...entries, ...all]);
      // One after the other: the first is being indexed while the next travels.
      for (const entry of entries) {
        // Who took it back took it out of the queue.
        if (queued.current.delete(entry.key)) await send(entry);
      }
    },
    [send],
  );

  /** Sends a file again; one that is sent in pieces goes on where it was. */
  const resend = useCallback(
    (entry: PendingFile) => {
      change(entry.key, { error: null, state: "sending" });
      void send(entry);
    },
    [change, send],
  );

  const pause = useCallback(
    (entry: PendingFile) => {
      stops.current.get(entry.key)?.abort();
      change(entry.key, { state: "paused" });
    },
    [change],
  );

  /** Takes a file back, with what the server has of it. */
  const cancel = useCallback(
    (entry: PendingFile) => {
      const stop = stops.current.get(entry.key);
      stop?.abort();
      queued.current.delete(entry.key);
      dismiss(entry);
      if (entry.url !== null) void discard(entry.url);
      else if (stop) onBrokenOff();
    },
    [dismiss, onBrokenOff],
  );

  return { pending, upload, resend, pause, cancel };
}

/** A file whose turn has not come. */
function pendingFile(file: File): PendingFile {
  return { key: ++keys, file, error: null, sent: null, state: "sending", url: null };
}

/** Brings a file to the server, at once or in pieces, and says how far it is. */
async function deliver(
  { file, url }: PendingFile,
  signal: AbortSignal,
  change: (fields: Partial<PendingFile>) => void,
): Promise<Document> {
  if (file.size <= RESUMABLE_FROM) return api.upload(file, signal);
  const id = await sendInPieces(file, {
    url,
    signal,
    onBegun: (begun) => change({ url: begun }),
    onProgress: (sent) => change({ sent }),
    onWaiting: (waiting) => {
      if (!signal.aborted) change({ state: waiting ? "waiting" : "sending" });
    },
  });
  return api.document(id);
}
