import { useCallback, useRef, useState } from "react";
import type { Page } from "../api/types";

/** A first page with those that were read below it. */
export interface Further<T> {
  of: Page<T>;
  items: T[];
  /** Of the next page; null where there is none. */
  cursor: string | null;
  /** Why the next page could not be read the last time; null when it could. */
  error: unknown;
}

/** What is known below `first`: nothing, where that was another first page. */
export function furtherOf<T>(known: Further<T> | null, first: Page<T>): Further<T> {
  if (known?.of === first) return known;
  return { of: first, items: first.items, cursor: first.next_cursor, error: null };
}

/** The same with the page that `cursor` led to; one that is there already is not added again. */
export function withPage<T>(known: Further<T>, cursor: string, page: Page<T>): Further<T> {
  if (known.cursor !== cursor) return known;
  return {
    ...known,
    items: [...known.items, ...page.items],
    cursor: page.next_cursor,
    error: null,
  };
}

/** Pages below a first one that was read with something else. Another first page has none yet. */
export function useFurther<T>(
  first: Page<T>,
  read: (cursor: string) => Promise<Page<T>>,
  onError: (error: unknown) => void,
) {
  const [known, setKnown] = useState<Further<T> | null>(null);
  const shown = useRef(first);
  shown.current = first;
  const { items, cursor, error } = furtherOf(known, first);
  const more = useCallback(async () => {
    if (cursor === null) return;
    const update = (change: (known: Further<T>) => Further<T>) => {
      // It belongs below a first page that is not shown any more.
      if (shown.current === first) setKnown((known) => change(furtherOf(known, first)));
    };
    try {
      const page = await read(cursor);
      update((known) => withPage(known, cursor, page));
    } catch (error) {
      update((known) => ({ ...known, error }));
      onError(error);
    }
  }, [first, cursor, read, onError]);
  return { items, error, hasMore: cursor !== null, more };
}
