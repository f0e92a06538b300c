import { useCallback, useEffect, useRef, useState } from "react";
import { api, isGone } from "../api/http";
import type { Document } from "../api/types";
import {
  NOTHING,
  apart,
  pollEvery,
  withDocuments,
  withFirstPage,
  withPage,
  withSent,
  withoutDocument,
  type Known,
  type Told,
} from "./documents";

/** The list of documents as the server knows it; read again while one of them is being indexed. */
export function useDocumentList(onError: (error: unknown) => void) {
  const [known, setKnown] = useState<Known>(NOTHING);
  const [error, setError] = useState<unknown>(null);
  const [order] = useState(newOrder);
  const latest = useRef(known);
  /** When the first page that is shown was asked for. */
  const shown = useRef(0);

  const update = useCallback((change: (known: Known) => Known) => {
    latest.current = change(latest.current);
    setKnown(latest.current);
  }, []);

  const tell = useCallback(
    (id: string, change: (known: Known) => Known) => {
      order.tell(id);
      update(change);
    },
    [order, update],
  );

  /** Takes in a document that was just sent, or sent on its way again. */
  const sent = useCallback(
    (document: Document) => tell(document.id, (known) => withSent(known, document, Date.now())),
    [tell],
  );

  /** Takes out one that is not there any more. */
  const drop = useCallback(
    (id: string) => tell(id, (known) => withoutDocument(known, id)),
    [tell],
  );

  const attempt = useCallback(
    async (reading: Promise<void>) => {
      try {
        await reading;
      } catch (cause) {
        // What was read before stays: it is old, and not gone.
        setError(cause);
        onError(cause);
      }
    },
    [onError],
  );

  const readPage = useCallback(
    async (asked: number, cursor?: string): Promise<Told> => {
      const page = await api.documents(cursor);
      return { page, now: Date.now(), isOld: (id) => order.toldAt(id) > asked };
    },
    [order],
  );

  const readOne = useCallback(
    async (id: string) => {
      const asked = order.ask();
      try {
        const document = await api.document(id);
        if (order.toldAt(id) > asked) return;
        tell(id, (known) => withDocuments(known, [document], Date.now()));
      } catch (cause) {
        if (!isGone(cause)) throw cause;
        drop(id);
      }
    },
    [order, tell, drop],
  );

  const readFirst = useCallback(async () => {
    const asked = order.ask();
    const told = await readPage(asked);
    // One that was asked for later was there before it.
    if (asked < shown.current) return;
    shown.current = asked;
    update((known) => withFirstPage(known, told));
    await Promise.all(apart(latest.current, told.page, order.toldAt).map(readOne));
    setError(null);
  }, [order, readPage, readOne, update]);

  const readMore = useCallback(
    async (cursor: string) => {
      const told = await readPage(order.ask(), cursor);
      update((known) => withPage(known, cursor, told));
      setError(null);
    },
    [order, readPage, update],
  );

  /** Reads the first page again, and what moves below it. */
  const reload = useCallback(() => attempt(readFirst()), [attempt, readFirst]);
  useEffect(() => void reload(), [reload]);

  const isReading = useRef(false);
  const every = pollEvery(known.documents, Date.now());
  useEffect(() => {
    if (every === null) return;
    const look = async () => {
      if (isReading.current) return;
      isReading.current = true;
      await reload();
      isReading.current = false;
    };
    const timer = setInterval(() => void look(), every);
    return () => clearInterval(timer);
  }, [every, reload]);

  const { documents, cursor } = known;
  /** Reads the page below those that are shown. */
  const more = useCallback(
    () => (cursor === null ? Promise.resolve() : attempt(readMore(cursor))),
    [cursor, attempt, readMore],
  );

  /** Reads one document again. */
  const look = useCallback((id: string) => attempt(readOne(id)), [attempt, readOne]);

  return { documents, error, hasMore: cursor !== null, more, reload, look, sent, drop };
}

/** In which order the server was asked, and has told of one document by itself. */
function newOrder() {
  let count = 0;
  const told = new Map<string, number>();
  return {
    ask: () => ++count,
    tell: (id: string) => void told.set(id, ++count),
    toldAt: (id: string) => told.get(id) ?? 0,
  };
}
