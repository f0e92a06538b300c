import { useCallback, useMemo, useState } from "react";
import { api, isGone } from "../api/http";
import { useDocumentList } from "./useDocumentList";
import { useUploads } from "./useUploads";

/** The documents, the files that are to become some, and what a person does with them. */
export function useDocuments(onError: (error: unknown) => void) {
  const list = useDocumentList(onError);
  const { reload, look, sent, drop } = list;
  const [actionError, setActionError] = useState<unknown>(null);
  /** Those that are being deleted: not shown, unless that fails. */
  const [leaving, setLeaving] = useState<ReadonlySet<string>>(new Set());

  const onBrokenOff = useCallback(() => void reload(), [reload]);
  const uploads = useUploads({ onSent: sent, onBrokenOff, onError });

  /** Waits for what is done with a document; whether it was. */
  const act = useCallback(
    async (id: string, action: Promise<unknown>) => {
      setActionError(null);
      try {
        await action;
        return true;
      } catch (error) {
        setActionError(error);
        onError(error);
        // It may have been done all the same, or be gone.
        await look(id);
        return false;
      }
    },
    [look, onError],
  );

  const retry = useCallback(
    (id: string) => void act(id, api.retry(id).then(sent)),
    [act, sent],
  );

  const remove = useCallback(
    async (id: string) => {
      setLeaving((ids) => new Set(ids).add(id));
      // What is not there any more is deleted, whoever has done it.
      const gone = api.removeDocument(id).catch((error: unknown) => {
        if (!isGone(error)) throw error;
      });
      if (await act(id, gone)) {
        drop(id);
        void reload();
      }
      setLeaving((ids) => new Set([...ids].filter((it) => it !== id)));
    },
    [act, drop, reload],
  );

  const documents = useMemo(
    () => list.documents?.filter((it) => !leaving.has(it.id)) ?? null,
    [list.documents, leaving],
  );

  return {
    ...uploads,
    documents,
    listError: list.error,
    actionError,
    hasMore: list.hasMore,
    more: list.more,
    reload,
    retry,
    remove,
  };
}
