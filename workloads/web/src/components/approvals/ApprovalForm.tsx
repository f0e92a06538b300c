import { useId, useRef, useState } from "react";
import type { ApprovalRequest, Verdict } from "../../api/types";
import { useI18n } from "../../i18n/context";
import { argumentsText, readArguments, verdictOf } from "../../lib/approvals";

/** Longest reason, in characters; the gateway takes no longer one. */
const MAX_REASON = 500;

interface Props {
  request: ApprovalRequest;
  /** Whether an answer is being written, so that no other can go on. */
  busy: boolean;
  /** What has been written so far of the arguments; without it they are only read. */
  draft?: string;
  onDecide(verdict: Verdict): void;
}

/** Where one decides. No form of the browser's: Enter in a field would approve by a slip. */
export function ApprovalForm({ request, busy, draft, onDecide }: Props) {
  const { t } = useI18n();
  const id = useId();
  const [text, setText] = useState<string | null>(draft ?? null);
  const [reason, setReason] = useState("");
  const editor = useRef<HTMLTextAreaElement>(null);
  const read = text === null ? null : readArguments(text);
  const fault = read && "fault" in read ? read.fault : null;
  const edited = read && "value" in read ? read.value : null;
  const shown = argumentsText(request.arguments);
  const approve = () => {
    if (fault) editor.current?.focus();
    else onDecide(verdictOf("approve", request, edited, reason));
  };
  return (
    <div role="group" aria-label={t("approval.decision")} className="approval-form">
      {text === null ? (
        <>
          <pre role="group" tabIndex={0} aria-label={t("approval.arguments")}>
            {shown}
          </pre>
          <button type="button" data-testid="edit-arguments" onClick={() => setText(shown)}>
            {t("approval.edit")}
          </button>
        </>
      ) : (
        <>
          <label htmlFor={id + "arguments"}>{t("approval.argumentsLabel")}</label>
          <textarea
            id={id + "arguments"}
            ref={editor}
            data-testid="approval-arguments"
            rows={Math.min(16, Math.max(4, text.split("\n").length))}
            spellCheck={false}
            autoFocus
            value={text}
            aria-invalid={fault !== null}
            aria-describedby={id + "fault"}
            onChange={(event) => setText(event.target.value)}
          />
          <p id={id + "fault"} className="bad" data-testid="approval-fault" aria-live="polite">
            {fault && t(`approval.fault.${fault}`)}
          </p>
          <button type="button" data-testid="reset-arguments" onClick={() => setText(null)}>
            {t("approval.reset")}
          </button>
        </>
      )}
      <label htmlFor={id + "reason"}>{t("approval.reason")}</label>
      <input
        id={id + "reason"}
        data-testid="approval-reason"
        maxLength={MAX_REASON}
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      />
      <div className="approval-buttons">
        <button
          type="button"
          className="primary"
          data-testid="approve"
          disabled={busy}
          aria-disabled={fault !== null}
          onClick={approve}
        >
          {t("approval.approve")}
        </button>
        <button
          type="button"
          data-testid="deny"
          disabled={busy}
          onClick={() => onDecide(verdictOf("deny", request, null, reason))}
        >
          {t("approval.deny")}
        </button>
      </div>
    </div>
  );
}
