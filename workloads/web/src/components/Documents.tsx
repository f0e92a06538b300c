import { useId, useRef, type ReactNode } from "react";
import { contentOf } from "../api/http";
import type { Document } from "../api/types";
import { isKey } from "../i18n/dictionary";
import { useI18n } from "../i18n/context";
import { formOf } from "../lib/amounts";
import { mayRetry } from "../lib/documents";
import { useDocuments } from "../lib/useDocuments";
import type { PendingFile } from "../lib/useUploads";
import { DocumentsState } from "./DocumentsState";
import { Steps } from "./Steps";

export function Documents({ onError }: { onError(error: unknown): void }) {
  const { t } = useI18n();
  const state = useDocuments(onError);
  const heading = useRef<HTMLHeadingElement>(null);
  const id = useId();
  /** For what was in a row that goes. The list stays where it is. */
  const keepFocus = () => heading.current?.focus({ preventScroll: true });
  const cancel = (entry: PendingFile) => {
    state.cancel(entry);
    keepFocus();
  };
  const remove = (id: string) => {
    void state.remove(id);
    keepFocus();
  };
  const now = Date.now();
  return (
    <section className="documents" aria-labelledby={id}>
      <h2 id={id} ref={heading} tabIndex={-1}>
        {t("nav.documents")}
      </h2>
      <label className="button upload">
        {t("documents.upload")}
        <input
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
          <PendingRow key={entry.key} entry={entry} {...state} cancel={cancel} />
        ))}
        {state.documents?.map((document) => (
          <DocumentRow
            key={document.id}
            document={document}
            mayRetry={mayRetry(document, now)}
            retry={state.retry}
            remove={remove}
          />
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

export interface PendingRowProps {
  entry: PendingFile;
  resend(entry: PendingFile): void;
  pause(entry: PendingFile): void;
  cancel(entry: PendingFile): void;
}

export function PendingRow({ entry, resend, pause, cancel }: PendingRowProps) {
  const { t, explain } = useI18n();
  const { file, sent, state } = entry;
  const name = { name: file.name };
  if (entry.error !== null) {
    return (
      <li className="row">
        <span className="name">{file.name}</span>
        <span className="status bad" data-testid="document-status" data-status="failed">
          {t("documents.status.failed")}: {explain(entry.error)}
        </span>
        <span className="actions">
          <button onClick={() => resend(entry)}>{t("retry")}</button>
          <button onClick={() => cancel(entry)}>{t("close")}</button>
        </span>
      </li>
    );
  }
  const isPaused = state === "paused";
  return (
    <li className="row">
      <span className="name">{file.name}</span>
      <span
        className="status"
        data-testid="document-status"
        data-status={isPaused ? "paused" : "uploading"}
      >
        {t(SAID[state])}
        {sent !== null && (
          <Moving>
            {" "}
            {Math.floor((100 * sent) / file.size)} %{" "}
            <progress value={sent} max={file.size} aria-label={file.name} />
          </Moving>
        )}
      </span>
      <span className="actions">
        {sent !== null && (
          <button
            data-testid={isPaused ? "upload-resume" : "upload-pause"}
            aria-label={t(isPaused ? "documents.resumeNamed" : "documents.pauseNamed", name)}
            onClick={() => (isPaused ? resend(entry) : pause(entry))}
          >
            {t(isPaused ? "documents.resume" : "documents.pause")}
          </button>
        )}
        <button
          className="quiet"
          data-testid="upload-cancel"
          aria-label={t("documents.cancelNamed", name)}
          title={t("documents.cancelNamed", name)}
          onClick={() => cancel(entry)}
        >
          ×
        </button>
      </span>
    </li>
  );
}

/** Figures that move all the time: to be read, but not to be told with every step. */
function Moving({ children }: { children: ReactNode }) {
  return <span aria-live="off">{children}</span>;
}

/** What is said of a file on its way. */
const SAID = {
  sending: "documents.uploading",
  waiting: "documents.waiting",
  paused: "documents.paused",
} as const;

export function DocumentRow(props: {
  document: Document;
  /** Whether it may be indexed again. */
  mayRetry: boolean;
  retry(id: string): void;
  remove(id: string): void;
}) {
  const { t } = useI18n();
  const { document } = props;
  const mayChange = document.may_change !== false;
  const remove = t("delete.named", { name: document.name });
  return (
    <li className="row">
      <span className="name">
        <a
          href={contentOf(document.id)}
          download={document.name}
          aria-label={t("documents.downloadNamed", { name: document.name })}
        >
          {document.name}
        </a>
      </span>
      <span
        className={"status " + (document.status === "failed" ? "bad" : document.status)}
        data-testid="document-status"
        data-status={document.status}
        data-name={document.name}
      >
        <Status document={document} />
      </span>
      <span className="actions">
        {mayChange && props.mayRetry && (
          <button onClick={() => props.retry(document.id)}>{t("retry")}</button>
        )}
        {mayChange && (
          <button
            className="quiet"
            aria-label={remove}
            title={remove}
            onClick={() => props.remove(document.id)}
          >
            ×
          </button>
        )}
      </span>
      <Steps steps={document.steps ?? []} />
    </li>
  );
}

function Status({ document }: { document: Document }) {
  const { t, language } = useI18n();
  const text = t(`documents.status.${document.status}`);
  switch (document.status) {
    case "uploaded":
      return text;
    case "indexed": {
      const count = document.chunks ?? 0;
      return (
        <>
          {text} · {t(`documents.chunks.${formOf(language, count)}`, { count })}
        </>
      );
    }
    case "failed": {
      const key = "documents.failed." + document.error?.code;
      return (
        <>
          {text}: {isKey(key) ? t(key) : document.error?.message}
        </>
      );
    }
    case "indexing": {
      const key = "step." + document.step;
      return (
        <>
          {text}: {isKey(key) ? t(key) : document.step}
          {document.total > 0 && (
            <Moving>
              {" "}
              {document.done}/{document.total}{" "}
              <progress value={document.done} max={document.total} aria-label={document.name} />
            </Moving>
          )}
        </>
      );
    }
  }
}
