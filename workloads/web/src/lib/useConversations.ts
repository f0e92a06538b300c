import { useCallback, useState } from "react";
import { api } from "../api/http";
import { deletedFrom, putBack, renamed, type Deleted, type Item } from "./conversations";
import { save } from "./save";
import { usePages } from "./usePages";

/** The conversations as the server knows them; read again with each `version`. */
export function useConversations(version: number, onError: (error: unknown) => void) {
  const [words, setWords] = useState("");
  const [deleted, setDeleted] = useState<Deleted | null>(null);

  // A page of the list, or of what was looked for.
  const read = useCallback(
    (cursor?: string) =>
      words ? api.searchConversations(words, cursor) : api.conversations(cursor),
    [words],
  );
  const pages = usePages<Item>(read, onError, version);
  const { items, error, hasMore, more, attempt, change, remove: takeOut } = pages;

  const rename = useCallback(
    async (id: string, title: string) => {
      if (await attempt(api.renameConversation(id, title))) {
        change((known) => renamed(known, id, title));
      }
    },
    [attempt, change],
  );

  const remove = useCallback(
    async (id: string) => {
      // As it stood when that was asked for: until it is done, another one may have gone.
      const deleted = deletedFrom(items ?? [], id);
      if (!(await takeOut(id, api.removeConversation(id)))) return false;
      setDeleted(deleted);
      return true;
    },
    [takeOut, items],
  );

  const undo = useCallback(async () => {
    if (!deleted) return;
    if (await attempt(api.restoreConversation(deleted.item.id))) {
      change((known) => putBack(known, deleted));
      setDeleted(null);
    }
  }, [attempt, change, deleted]);

  const keep = useCallback(
    (id: string) =>
      attempt(api.exportConversation(id).then((file) => save(file, `conversation-${id}.md`))),
    [attempt],
  );

  const forget = useCallback(() => setDeleted(null), []);

  return {
    items,
    hasMore,
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
