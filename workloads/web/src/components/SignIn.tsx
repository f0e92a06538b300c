import type { Erased } from "../api/types";
import { useI18n } from "../i18n/context";
import { departure } from "../lib/departure";
import type { Ending } from "../lib/ending";
import type { SignInFailure } from "../lib/signInFailure";
import { LanguageSwitch } from "./LanguageSwitch";

interface Props {
  /** What was erased right before. */
  erased?: Erased;
  /** Why somebody who was signed in is not any more. */
  ending?: Ending;
  /** Why a sign-in or sign-out failed right before; says more than an ending. */
  failure?: SignInFailure;
}

/** Where nobody is signed in. */
export function SignIn({ erased, ending, failure }: Props) {
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
