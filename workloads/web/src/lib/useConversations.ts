import { useCallback, useEffect, useState } from "react";
import { api } from "../api/http";
import type { Page } from "../api/types";
import { putBack, renamed, without, type Deleted, type Item } from "./conversations";
import { save } from "./save";

/** A page of the list, or of what was looked for. */
function read(words: string, cursor?: string): Promise<Page<Item>> {
  return words ? api.searchConversations(words, cursor) : api.conversations(cursor);
}

/** The conversations as the server knows them; read again with each `version`. */
export function useConversations(version: number, onError: (error: unknown) => void) {
  const [items, setItems] = useState<Item[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [words, setWords] = useState("");
  const [deleted, setDeleted] = useState<Deleted | null>(null);
  const [error, setError] = useState<unknown>(null);

  const failed = useCallback(
    (cause: unknown) => {
      setError(cause);
      onError(cause);
    },
    [onError],
  );

  useEffect(() => {
    let current = true;
    read(words).then(
      (page) => {
        if (!current) return;
        setItems(page.items);
        setCursor(page.next_cursor);
        setError(null);
      },
      (cause: unknown) => {
        if (current) failed(cause);
      },
    );
    return () => {
      current = false;
    };
  }, [version, words, failed]);

  /** Waits for an action; whether it was done. */
  const done = useCallback(
    async (action: Promise<unknown>): Promise<boolean> => {
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

  const more = useCallback(async () => {
    if (!cursor) return;
    const next = read(words, cursor).then((page) => {
      setItems((known) => [...(known ?? []), ...page.items]);
      setCursor(page.next_cursor);
    });
    await done(next);
  }, [words, cursor, done]);

  const rename = useCallback(
    async (id: string, title: string) => {
      if (await done(api.renameConversation(id, title))) {
        setItems((known) => renamed(known ?? [], id, title));
      }
    },
    [done],
  );

  const remove = useCallback(
    async (id: string) => {
      if (!(await done(api.removeConversation(id)))) return false;
      const rest = without(items ?? [], id);
      setItems(rest.items);
      setDeleted(rest.deleted);
      return true;
    },
    [done, items],
  );

  const undo = useCallback(async () => {
    if (!deleted) return;
    if (await done(api.restoreConversation(deleted.item.id))) {
      setItems((known) => putBack(known ?? [], deleted));
      setDeleted(null);
    }
  }, [done, deleted]);

  const keep = useCallback(
    (id: string) =>
      done(api.exportConversation(id).then((file) => save(file, `conversation-${id}.md`))),
    [done],
  );

  const forget = useCallback(() => setDeleted(null), []);

  return {
    items,
    hasMore: cursor !== null,
    words,
    deleted,
    error,
    search: setWords,
    more,
    rename,
    remove,
    undo,
    keep,
    forget,
  };
}
