import { useId, useRef } from "react";
import type { Document } from "../api/types";
import { isKey } from "../i18n/dictionary";
import { useI18n } from "../i18n/context";
import { useDocuments, type PendingFile } from "../lib/useDocuments";
import { DocumentsState } from "./DocumentsState";

export function Documents({ onError }: { onError(error: unknown): void }) {
  const { t } = useI18n();
  const state = useDocuments(onError);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  return (
    <section className="documents" aria-labelledby={id}>
      <h2 id={id}>{t("nav.documents")}</h2>
      <label className="button upload">
        {t("documents.upload")}
        <input
          ref={input}
          type="file"
          multiple
          data-testid="file-input"
          accept=".txt,.text,.log,.md,.markdown,.html,.htm,text/plain,text/markdown,text/html"
          onChange={(event) => {
            const files = [...(event.target.files ?? [])];
            // The same file may be chosen again after a failure.
            event.target.value = "";
            void state.upload(files);
          }}
        />
      </label>
      <p className="hint">{t("documents.hint")}</p>
      <ul className="rows" aria-live="polite">
        {state.pending.map((entry) => (
          <PendingRow key={entry.key} entry={entry} {...state} />
        ))}
        {state.documents?.map((document) => (
          <DocumentRow key={document.id} document={document} {...state} />
        ))}
      </ul>
      <DocumentsState
        documents={state.documents}
        isSending={state.pending.length > 0}
        listError={state.listError}
        actionError={state.actionError}
        onRetry={state.reload}
      />
      {state.hasMore && <button onClick={() => void state.more()}>{t("more")}</button>}
    </section>
  );
}

function PendingRow(props: {
  entry: PendingFile;
  resend(entry: PendingFile): void;
  dismiss(entry: PendingFile): void;
}) {
  const { t, explain } = useI18n();
  const { entry } = props;
  return (
    <li className="row">
      <span className="name">{entry.file.name}</span>
      {entry.error === null ? (
        <span className="status" data-testid="document-status" data-status="uploading">
          {t("documents.uploading")}
        </span>
      ) : (
        <>
          <span className="status bad" data-testid="document-status" data-status="failed">
            {t("documents.status.failed")}: {explain(entry.error)}
          </span>
          <span className="actions">
            <button onClick={() => props.resend(entry)}>{t("retry")}</button>
            <button onClick={() => props.dismiss(entry)}>{t("close")}</button>
          </span>
        </>
      )}
    </li>
  );
}

function DocumentRow(props: {
  document: Document;
  retry(id: string): void;
  remove(id: string): void;
}) {
  const { t } = useI18n();
  const { document } = props;
  const remove = t("delete.named", { name: document.name });
  return (
    <li className="row">
      <span className="name">{document.name}</span>
      <span
        className={"status " + (document.status === "failed" ? "bad" : document.status)}
        data-testid="document-status"
        data-status={document.status}
        data-name={document.name}
      >
        <Status document={document} />
      </span>
      <span className="actions">
        {document.status === "failed" && (
          <button onClick={() => props.retry(document.id)}>{t("retry")}</button>
        )}
        <button
          className="quiet"
          aria-label={remove}
          title={remove}
          onClick={() => props.remove(document.id)}
        >
          ×
        </button>
      </span>
    </li>
  );
}

function Status({ document }: { document: Document }) {
  const { t } = useI18n();
  const text = t(`documents.status.${document.status}`);
  switch (document.status) {
    case "uploaded":
      return text;
    case "indexed":
      return (
        <>
          {text} · {t("documents.chunks", { count: document.chunks ?? 0 })}
        </>
      );
    case "failed":
      return (
        <>
          {text}: {document.error?.message}
        </>
      );
    case "indexing": {
      const key = "step." + document.step;
      return (
        <>
          {text}: {isKey(key) ? t(key) : document.step}
          {document.total > 0 && (
            <>
              {" "}
              {document.done}/{document.total}{" "}
              <progress value={document.done} max={document.total} aria-label={document.name} />
            </>
          )}
        </>
      );
    }
  }
}
