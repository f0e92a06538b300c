import type { Erased } from "../api/types";
import { useI18n } from "../i18n/context";
import type { Ending } from "../lib/ending";
import { LanguageSwitch } from "./LanguageSwitch";

interface Props {
  /** What was erased right before. */
  erased?: Erased;
  /** Why somebody who was signed in is not any more. */
  ending?: Ending;
}

/** Where nobody is signed in. */
export function SignIn({ erased, ending }: Props) {
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
      {ending && (
        <p role="status" data-testid="signed-out" data-ending={ending}>
          {t(`ending.${ending}`)}
        </p>
      )}
      <p>{t("signIn.text")}</p>
      <a className="button primary" data-testid="sign-in" href={"/auth/login?return_to=" + returnTo}>
        {t("signIn.button")}
      </a>
      <LanguageSwitch />
    </main>
  );
}
