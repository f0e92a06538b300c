import { useCallback, useEffect, useRef, useState } from "react";
import { isGone } from "../api/http";
import type { Page } from "../api/types";

/** A list of the server's that is read page by page. */
export interface Pages<T> {
  /** Null until the first page is there. */
  items: T[] | null;
  /** Why the last thing that was tried did not work. */
  error: unknown;
  hasMore: boolean;
  reload(): void;
  more(): Promise<void>;
  add(item: T): void;
  /** Takes an item out once the server has done so; whether it is out. */
  remove(id: string, action: Promise<unknown>): Promise<boolean>;
}

/** A list with a page below it. What is in it already stays: one may ask twice for the same page. */
export function appended<T extends { id: string }>(known: T[], page: T[]): T[] {
  const ids = new Set(known.map((item) => item.id));
  return [...known, ...page.filter((item) => !ids.has(item.id))];
}

/** What is needed to do more with a list than to add and remove. */
export interface Changeable<T> extends Pages<T> {
  /** Waits for an action; whether it was done. */
  attempt(action: Promise<unknown>): Promise<boolean>;
  change(update: (items: T[]) => T[]): void;
}

/** The first page is read again with each `version`. */
export function usePages<T extends { id: string }>(
  read: (cursor?: string) => Promise<Page<T>>,
  onError: (error: unknown) => void,
  version = 0,
): Changeable<T> {
  const [items, setItems] = useState<T[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [reads, setReads] = useState(0);
  /** Which first page was asked for last. */
  const first = useRef(0);

  const failed = useCallback(
    (cause: unknown) => {
      setError(cause);
      onError(cause);
    },
    [onError],
  );

  useEffect(() => {
    let isCurrent = true;
    first.current++;
    read().then(
      (page) => {
        if (!isCurrent) return;
        setItems(page.items);
        setCursor(page.next_cursor);
        setError(null);
      },
      (cause: unknown) => {
        if (isCurrent) failed(cause);
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [read, failed, reads, version]);

  const reload = useCallback(() => setReads((count) => count + 1), []);

  const attempt = useCallback(
    async (action: Promise<unknown>) => {
      try {
        await action;
        setError(null);
        return true;
      } catch (cause) {
        failed(cause);
        return false;
      }
    },
    [failed],
  );

  const change = useCallback(
    (update: (items: T[]) => T[]) => setItems((known) => update(known ?? [])),
    [],
  );

  const more = useCallback(async () => {
    if (!cursor) return;
    const asked = first.current;
    const next = read(cursor).then((page) => {
      // It belongs below a first page that is not shown any more.
      if (first.current !== asked) return;
      change((known) => appended(known, page.items));
      setCursor(page.next_cursor);
    });
    await attempt(next);
  }, [read, cursor, attempt, change]);

  const add = useCallback((item: T) => change((known) => [item, ...known]), [change]);

  const remove = useCallback(
    async (id: string, action: Promise<unknown>) => {
      // What is not there any more is out, whoever took it away.
      const gone = action.catch((cause: unknown) => {
        if (!isGone(cause)) throw cause;
      });
      if (!(await attempt(gone))) return false;
      change((known) => known.filter((item) => item.id !== id));
      return true;
    },
    [attempt, change],
  );

  return { items, error, hasMore: cursor !== null, reload, more, add, remove, attempt, change };
}
