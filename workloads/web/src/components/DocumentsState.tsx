import type { Document } from "../api/types";
import { useI18n } from "../i18n/context";

interface Props {
  /** Null until the list could be read once. */
  documents: Document[] | null;
  /** Whether files are on their way, which are shown whatever the list is. */
  isSending: boolean;
  /** Why the list could not be read the last time that it was tried. */
  listError: unknown;
  /** Why the last thing that was done with a document did not work. */
  actionError: unknown;
  onRetry(): void;
}

/** What is said beside the list of documents: that it is being read, is empty, or why it failed. */
export function DocumentsState(props: Props) {
  const { t, explain } = useI18n();
  const { documents, isSending, listError, actionError, onRetry } = props;
  const isEmpty = documents?.length === 0 && !isSending;
  return (
    <>
      {actionError !== null && (
        <p role="alert" className="bad" data-testid="document-problem">
          {explain(actionError)}
        </p>
      )}
      {listError !== null && (
        <div role="alert" className="bad" data-testid="documents-problem">
          <p>{t(documents === null ? "documents.unread" : "documents.stale")}</p>
          <p>{explain(listError)}</p>
          <button data-testid="documents-retry" onClick={onRetry}>
            {t("retry")}
          </button>
        </div>
      )}
      {documents === null && listError === null && <p role="status">{t("loading")}</p>}
      {isEmpty && listError === null && <p>{t("documents.none")}</p>}
    </>
  );
}
