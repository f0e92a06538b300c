import { useCallback, useId, useRef, useState } from "react";
import { account } from "../../api/account";
import { useI18n } from "../../i18n/context";
import { usePages } from "../../lib/usePages";
import { KeyRow } from "./Keys";
import { Listing } from "./Listing";
import { SessionRow } from "./Sessions";

type OnError = (error: unknown) => void;

/** Keys and sessions of everybody, for administrators: to find and to end. */
export function Others({ onError }: { onError: OnError }) {
  const { t } = useI18n();
  const id = useId();
  const [typed, setTyped] = useState("");
  /** Whose are shown; nobody's until it is asked for. */
  const [subject, setSubject] = useState<string | null>(null);
  return (
    <section aria-labelledby="account-others" data-testid="others">
      <h3 id="account-others">{t("others.title")}</h3>
      <p className="hint">{t("others.hint")}</p>
      <form
        className="form"
        data-testid="find-others"
        onSubmit={(event) => {
          event.preventDefault();
          setSubject(typed.trim());
        }}
      >
        <label htmlFor={id}>{t("others.subject")}</label>
        <input
          id={id}
          data-testid="others-subject"
          autoComplete="off"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        <button type="submit">{t("others.find")}</button>
      </form>
      {/* Of another person there is nothing to keep. */}
      {subject !== null && (
        <div key={subject}>
          <OthersKeys subject={subject} onError={onError} />
          <OthersSessions subject={subject} onError={onError} />
        </div>
      )}
    </section>
  );
}

interface ListProps {
  /** Whose; everybody's when it is empty. */
  subject: string;
  onError: OnError;
}

function OthersKeys({ subject, onError }: ListProps) {
  const { t } = useI18n();
  const read = useCallback((cursor?: string) => account.keysOf(subject, cursor), [subject]);
  const pages = usePages(read, onError);
  const heading = useRef<HTMLHeadingElement>(null);
  const revoke = async (id: string) => {
    if (await pages.remove(id, account.removeKey(id))) heading.current?.focus();
  };
  return (
    <>
      <h4 ref={heading} tabIndex={-1}>
        {t("others.keys")}
      </h4>
      <Listing pages={pages} none={t("keys.none")}>
        {(key) => (
          <KeyRow
            key={key.id}
            of={key}
            owner={key.owner}
            now={Date.now()}
            onRevoke={() => revoke(key.id)}
          />
        )}
      </Listing>
    </>
  );
}

function OthersSessions({ subject, onError }: ListProps) {
  const { t } = useI18n();
  const read = useCallback((cursor?: string) => account.sessionsOf(subject, cursor), [subject]);
  const pages = usePages(read, onError);
  const heading = useRef<HTMLHeadingElement>(null);
  const end = async (id: string) => {
    if (await pages.remove(id, account.endSessionOf(id))) heading.current?.focus();
  };
  return (
    <>
      <h4 ref={heading} tabIndex={-1}>
        {t("others.sessions")}
      </h4>
      <Listing pages={pages} none={t("sessions.none")}>
        {(session) => (
          <SessionRow
            key={session.id}
            of={session}
            owner={session.subject}
            onEnd={() => end(session.id)}
          />
        )}
      </Listing>
    </>
  );
}
