import { useCallback, useEffect, useId, useRef, useState } from "react";
import { approvals } from "../../api/approvals";
import { isGone } from "../../api/http";
import type { Approval, ApprovalRequest, Verdict } from "../../api/types";
import { useI18n } from "../../i18n/context";
import { argumentsText, standingAt, type Standing } from "../../lib/approvals";
import { useLoad } from "../../lib/useLoad";
import { useNow } from "../../lib/useNow";
import { ApprovalForm } from "./ApprovalForm";
import "./approvals.css";

/** Milliseconds after which the time that is left is told anew. */
const TICK = 15_000;

interface Props {
  request: ApprovalRequest;
  /** Whether an answer is being written, so that no other can go on. */
  busy: boolean;
  /** Decides; gives why nothing came of it. */
  onDecide(id: string, verdict: Verdict): Promise<unknown>;
  onError(error: unknown): void;
}

/** A call of a tool that waits for consent, as far as it is by now. */
export function ApprovalCard({ request, busy, onDecide, onError }: Props) {
  const { id } = request;
  const read = useCallback(() => approvals.one(id), [id]);
  const { value, error, reload } = useLoad(read, onError);
  const [refusal, setRefusal] = useState<unknown>(null);
  const [isDeciding, setDeciding] = useState(false);
  const now = useNow(TICK);
  const known: Standing = isGone(error) ? "gone" : (value?.state ?? "loading");
  const decide = async (verdict: Verdict) => {
    setDeciding(true);
    setRefusal(null);
    setRefusal(await onDecide(id, verdict));
    setDeciding(false);
    reload();
  };
  return (
    <ApprovalView
      request={request}
      approval={value}
      standing={standingAt(known, request.expires_at, now)}
      busy={busy}
      isDeciding={isDeciding}
      error={refusal ?? (known === "gone" ? null : error)}
      onRetry={reload}
      onDecide={(verdict) => void decide(verdict)}
    />
  );
}

interface ViewProps {
  request: ApprovalRequest;
  /** What became of it; null until it was read. */
  approval: Approval | null;
  standing: Standing;
  busy: boolean;
  isDeciding: boolean;
  error: unknown;
  onRetry(): void;
  onDecide(verdict: Verdict): void;
}

/** What is asked for, and in which state it is. */
export function ApprovalView(props: ViewProps) {
  const { request, approval, standing, busy, isDeciding, error } = props;
  const { t, explain, moment, until } = useI18n();
  const id = useId();
  const heading = useRef<HTMLHeadingElement>(null);
  const decided = useRef(false);
  useEffect(() => {
    // The focus was on a button that is gone.
    if (decided.current && isDeciding) {
      decided.current = false;
      heading.current?.focus();
    }
  }, [isDeciding]);
  const expires = request.expires_at;
  return (
    <section
      className="approval"
      aria-labelledby={id}
      aria-busy={isDeciding}
      data-testid="approval"
      data-state={standing}
      data-tool={request.tool}
    >
      <h3 id={id} ref={heading} tabIndex={-1}>
        {t("approval.title", { tool: request.tool })}
      </h3>
      {request.description && <p className="hint">{request.description}</p>}
      <p role="status">
        {isDeciding ? t("approval.working") : t(`approval.state.${standing}`)}{" "}
        {standing === "pending" &&
          !isDeciding &&
          t("approval.left", { when: moment(expires), until: until(expires) })}
      </p>
      {error !== null && error !== undefined && (
        <div role="alert" className="bad">
          <p>{explain(error)}</p>
          {standing === "loading" && <button onClick={props.onRetry}>{t("retry")}</button>}
        </div>
      )}
      {standing === "pending" && !isDeciding ? (
        <ApprovalForm
          request={request}
          busy={busy}
          onDecide={(verdict) => {
            decided.current = true;
            props.onDecide(verdict);
          }}
        />
      ) : (
        <pre role="group" tabIndex={0} aria-label={t("approval.arguments")}>
          {argumentsText(request.arguments)}
        </pre>
      )}
      {approval?.reason && <p>{t("approval.saidReason", { reason: approval.reason })}</p>}
    </section>
  );
}
