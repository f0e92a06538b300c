import type { Erased } from "../api/types";
import { useI18n } from "../i18n/context";
import { LanguageSwitch } from "./LanguageSwitch";

/** Where nobody is signed in; also right after everything that was held of somebody is erased. */
export function SignIn({ erased }: { erased?: Erased }) {
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
      <p>{t("signIn.text")}</p>
      <a className="button primary" data-testid="sign-in" href={"/auth/login?return_to=" + returnTo}>
        {t("signIn.button")}
      </a>
      <LanguageSwitch />
    </main>
  );
}
