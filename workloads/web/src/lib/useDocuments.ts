import { useCallback, useEffect, useRef, useState } from "react";
import { api } from "../api/http";
import { RESUMABLE_FROM, discard, sendInPieces } from "../api/resumable";
import type { Document } from "../api/types";
import { appended } from "./usePages";

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

const POLL_MS = 1500;
let keys = 0;

/** The documents as the server knows them; asked again while one of them is being indexed. */
export function useDocuments(onError: (error: unknown) => void) {
  const [documents, setDocuments] = useState<Document[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [pending, setPending] = useState<PendingFile[]>([]);
  const [listError, setListError] = useState<unknown>(null);
  const [actionError, setActionError] = useState<unknown>(null);
  /** What stops the files that are being sent. */
  const stops = useRef(new Map<number, AbortController>());

  const refresh = useCallback(async () => {
    try {
      const page = await api.documents();
      setDocuments((known) => {
        // What "show more" brought stays below the first page.
        const fresh = new Set(page.items.map((item) => item.id));
        const last = page.items.at(-1)?.id ?? "";
        const older = (known ?? []).filter((item) => !fresh.has(item.id) && item.id < last);
        return page.next_cursor ? [...page.items, ...older] : page.items;
      });
      setCursor((known) => known ?? page.next_cursor);
      setListError(null);
    } catch (error) {
      // What was read before stays: it is old, and not gone.
      setListError(error);
      onError(error);
    }
  }, [onError]);

  useEffect(() => void refresh(), [refresh]);

  const moving = documents?.some(
    (document) => document.status === "uploaded" || document.status === "indexing",
  );
  useEffect(() => {
    if (!moving) return;
    const timer = setInterval(() => void refresh(), POLL_MS);
    return () => clearInterval(timer);
  }, [moving, refresh]);

  const more = useCallback(async () => {
    if (!cursor) return;
    try {
      const page = await api.documents(cursor);
      setDocuments((known) => appended(known ?? [], page.items));
      setCursor(page.next_cursor);
      setListError(null);
    } catch (error) {
      setListError(error);
      onError(error);
    }
  }, [cursor, onError]);

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
        setDocuments((known) => [
          document,
          ...(known ?? []).filter((it) => it.id !== document.id),
        ]);
      } catch (error) {
        // Who stopped it says what it is then.
        if (stop.signal.aborted) return;
        change(key, { error });
        onError(error);
      } finally {
        if (stops.current.get(key) === stop) stops.current.delete(key);
      }
    },
    [change, dismiss, onError],
  );

  const upload = useCallback(
    async (files: File[]) => {
      const entries = files.map(pendingFile);
      setPending((all) => [...entries, ...all]);
      // One after the other: the first is being indexed while the next travels.
      for (const entry of entries) await send(entry);
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
      stops.current.get(entry.key)?.abort();
      dismiss(entry);
      if (entry.url !== null) void discard(entry.url);
    },
    [dismiss],
  );

  const act = useCallback(
    async (action: Promise<unknown>) => {
      setActionError(null);
      try {
        await action;
      } catch (error) {
        setActionError(error);
        onError(error);
      }
      await refresh();
    },
    [onError, refresh],
  );
  const retry = useCallback((id: string) => void act(api.retry(id)), [act]);
  const remove = useCallback(
    (id: string) => {
      setDocuments((known) => (known ?? []).filter((it) => it.id !== id));
      void act(api.removeDocument(id));
    },
    [act],
  );

  const reload = useCallback(() => void refresh(), [refresh]);

  return {
    documents,
    pending,
    listError,
    actionError,
    hasMore: cursor !== null,
    more,
    reload,
    upload,
    resend,
    pause,
    cancel,
    retry,
    remove,
  };
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
  if (file.size <= RESUMABLE_FROM) return api.upload(file);
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
