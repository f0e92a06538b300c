import { useRef, useState } from "react";
import { account } from "../../api/account";
import type { Session } from "../../api/types";
import { useI18n } from "../../i18n/context";
import { browserOf } from "../../lib/account";
import { usePages, type Pages } from "../../lib/usePages";
import { Confirm } from "./Confirm";
import { Listing } from "./Listing";

export function Sessions({ onError }: { onError(error: unknown): void }) {
  const { t } = useI18n();
  const pages = usePages(account.sessions, onError);
  const [ended, setEnded] = useState<number | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const end = async (session: Session) => {
    const isOver = await pages.remove(session.id, account.endSession(session.id));
    if (isOver) heading.current?.focus();
  };
  const endOthers = async () => {
    setEnded(null);
    const call = account.endOtherSessions().then(({ sessions }) => setEnded(sessions));
    if (!(await pages.attempt(call))) return;
    // At once, so that the button is gone before it could take the focus back.
    pages.change((known) => known.filter((session) => session.current));
    pages.reload();
    heading.current?.focus();
  };
  return (
    <section aria-labelledby="account-sessions" data-testid="sessions">
      <h3 id="account-sessions" ref={heading} tabIndex={-1}>
        {t("sessions.title")}
      </h3>
      <p className="hint">{t("sessions.hint")}</p>
      {hasOthers(pages) && <EndOthers onEnd={endOthers} />}
      <p role="status" data-testid="sessions-ended">
        {ended !== null && t("sessions.othersEnded", { count: ended })}
      </p>
      <Listing pages={pages} none={t("sessions.none")}>
        {(session) => <SessionRow key={session.id} of={session} onEnd={() => end(session)} />}
      </Listing>
    </section>
  );
}

/** Whether there is a session beside this one, as far as is known. */
export function hasOthers(pages: Pick<Pages<Session>, "items" | "hasMore">): boolean {
  return pages.hasMore || (pages.items ?? []).some((session) => !session.current);
}

export function EndOthers({ onEnd }: { onEnd(): Promise<void> }) {
  const { t } = useI18n();
  return (
    <div data-testid="end-others">
      <Confirm
        verb={t("sessions.endOthers")}
        label={t("sessions.endOthers")}
        question={t("sessions.endOthersQuestion")}
        onConfirm={onEnd}
      />
    </div>
  );
}

interface RowProps {
  of: Session;
  /** The `sub` of somebody else whose it may be. */
  owner?: string;
  onEnd(): Promise<void>;
}

export function SessionRow({ of: session, owner, onEnd }: RowProps) {
  const { t, moment } = useI18n();
  const known = browserOf(session.user_agent);
  const name = known
    ? t("sessions.browser", known)
    : session.user_agent || t("sessions.unknownBrowser");
  const since = moment(session.created_at);
  return (
    <li className="row" data-testid="session" data-current={session.current}>
      <span className="name" title={session.user_agent}>
        {name}
        {session.current && <strong className="mark">{t("sessions.current")}</strong>}
      </span>
      {/* This one ends with the button that signs out, which also leaves the provider. */}
      {!session.current && (
        <span className="actions">
          <Confirm
            verb={t("sessions.end")}
            label={t("sessions.endNamed", { name, since })}
            question={t("sessions.endQuestion", { name, since })}
            onConfirm={onEnd}
          />
        </span>
      )}
      {owner !== undefined && (
        <span className="status">{t("others.owner", { owner })}</span>
      )}
      <span className="status">
        {t("sessions.since", { when: since })} ·{" "}
        {t("used", { when: moment(session.last_used_at) })} ·{" "}
        {t("sessions.until", { when: moment(session.expires_at) })}
      </span>
    </li>
  );
}
