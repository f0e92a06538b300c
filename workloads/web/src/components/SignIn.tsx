import { useI18n } from "../i18n/context";
import { LanguageSwitch } from "./LanguageSwitch";

export function SignIn() {
  const { t } = useI18n();
  const returnTo = encodeURIComponent(location.pathname);
  return (
    <main className="centered">
      <h1>{t("app.title")}</h1>
      <p>{t("signIn.text")}</p>
      <a className="button primary" data-testid="sign-in" href={"/auth/login?return_to=" + returnTo}>
        {t("signIn.button")}
      </a>
      <LanguageSwitch />
    </main>
  );
}
