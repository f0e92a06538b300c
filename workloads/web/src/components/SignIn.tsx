import { useId } from "react";
import type { Erased } from "../api/types";
import { useI18n } from "../i18n/context";
import { departure } from "../lib/departure";
import type { Draft } from "../lib/draft";
import type { Ending } from "../lib/ending";
import type { SignInFailure } from "../lib/signInFailure";
import { useDraft } from "../lib/useDraft";
import { LanguageSwitch } from "./LanguageSwitch";

interface Props {
  /** What was erased right before. */
  erased?: Erased;
  /** Why somebody who was signed in is not any more. */
  ending?: Ending;
  /** Why a sign-in or sign-out failed right before; says more than an ending. */
  failure?: SignInFailure;
  /** What they were writing when their session ended. */
  draft?: Draft;
}

/** Where nobody is signed in. */
export function SignIn({ erased, ending, failure, draft }: Props) {
  const { t } = useI18n();
  const returnTo = encodeURIComponent(location.pathname);
  return (
    <main className="centered">
      <h1>{t("app.title")}</h1>
      {erased && (
        <p role="status" data-testid="erased">
          {t("erase.done", {
            conversations: erased.conversations,
            documents: erased.documents,
            keys: erased.api_keys,
            sessions: erased.sessions,
          })}
        </p>
      )}
      {failure && (
        <div role="alert" data-testid="sign-in-failed">
          <p>{t(failure.text)}</p>
          {failure.request && (
            <p className="hint">
              {t("signIn.request")} <code>{failure.request}</code>
            </p>
          )}
        </div>
      )}
      {ending && !failure && (
        <p role="status" data-testid="signed-out" data-ending={ending}>
          {t(`ending.${ending}`)}
        </p>
      )}
      {draft && <Unsent draft={draft} />}
      {!failure && <p>{t("signIn.text")}</p>}
      <a
        className="button primary"
        data-testid="sign-in"
        href={"/auth/login?return_to=" + returnTo}
        onClick={() => departure.keep(location.pathname)}
      >
        {t(failure ? "signIn.again" : "signIn.button")}
      </a>
      <LanguageSwitch />
    </main>
  );
}

/** What was written and not sent, or sent and kept nowhere: to sign in is to leave the page that has it. */
function Unsent({ draft }: { draft: Draft }) {
  const { t } = useI18n();
  const text = useDraft(draft);
  const id = useId();
  if (text.trim() === "") return null;
  return (
    <>
      <label htmlFor={id}>{t("signIn.draft")}</label>
      <textarea
        id={id}
        data-testid="draft"
        readOnly
        rows={4}
        cols={60}
        value={text}
        onFocus={(event) => event.target.select()}
      />
    </>
  );
}
