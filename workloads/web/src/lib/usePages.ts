import { useCallback, useEffect, useState } from "react";
import { ApiError } from "../api/http";
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

/** Whether what was to go is not there, whoever took it away. */
export function isGone(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

export function usePages<T extends { id: string }>(
  read: (cursor?: string) => Promise<Page<T>>,
  onError: (error: unknown) => void,
): Pages<T> {
  const [items, setItems] = useState<T[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);

  const failed = useCallback(
    (cause: unknown) => {
      setError(cause);
      onError(cause);
    },
    [onError],
  );

  useEffect(() => {
    let isCurrent = true;
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
  }, [read, failed, attempt]);

  const reload = useCallback(() => setAttempt((count) => count + 1), []);

  const more = useCallback(async () => {
    if (!cursor) return;
    try {
      const page = await read(cursor);
      setItems((known) => [...(known ?? []), ...page.items]);
      setCursor(page.next_cursor);
      setError(null);
    } catch (cause) {
      failed(cause);
    }
  }, [read, cursor, failed]);

  const add = useCallback((item: T) => setItems((known) => [item, ...(known ?? [])]), []);

  const remove = useCallback(
    async (id: string, action: Promise<unknown>) => {
      try {
        await action;
      } catch (cause) {
        if (!isGone(cause)) {
          failed(cause);
          return false;
        }
      }
      setItems((known) => known?.filter((item) => item.id !== id) ?? null);
      setError(null);
      return true;
    },
    [failed],
  );

  return { items, error, hasMore: cursor !== null, reload, more, add, remove };
}
