import { useCallback, useEffect, useState } from "react";
import { api } from "../api/http";
import type { Document } from "../api/types";

/** A file on its way to the server, or one that the server did not take. */
export interface PendingFile {
  key: number;
  file: File;
  error: unknown;
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
      setDocuments((known) => [...(known ?? []), ...page.items]);
      setCursor(page.next_cursor);
      setListError(null);
    } catch (error) {
      setListError(error);
      onError(error);
    }
  }, [cursor, onError]);

  const send = useCallback(
    async (entry: PendingFile) => {
      const replace = (next: PendingFile[]) =>
        setPending((all) => all.flatMap((it) => (it.key === entry.key ? next : [it])));
      try {
        const document = await api.upload(entry.file);
        replace([]);
        setDocuments((known) => [
          document,
          ...(known ?? []).filter((it) => it.id !== document.id),
        ]);
      } catch (error) {
        replace([{ ...entry, error }]);
        onError(error);
      }
    },
    [onError],
  );

  const upload = useCallback(
    async (files: File[]) => {
      const entries = files.map((file) => ({ key: ++keys, file, error: null }));
      setPending((all) => [...entries, ...all]);
      // One after the other: the first is being indexed while the next travels.
      for (const entry of entries) await send(entry);
    },
    [send],
  );

  const resend = useCallback(
    (entry: PendingFile) => {
      const fresh = { ...entry, error: null };
      setPending((all) => all.map((it) => (it.key === entry.key ? fresh : it)));
      void send(fresh);
    },
    [send],
  );

  const dismiss = useCallback(
    (entry: PendingFile) => setPending((all) => all.filter((it) => it.key !== entry.key)),
    [],
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
    dismiss,
    retry,
    remove,
  };
}
