import type { Language } from "../i18n/dictionary";
import { useI18n } from "../i18n/context";

export function LanguageSwitch() {
  const { language, setLanguage, t } = useI18n();
  return (
    <select
      data-testid="language"
      aria-label={t("language.label")}
      value={language}
      onChange={(event) => setLanguage(event.target.value as Language)}
    >
      <option value="es">Español</option>
      <option value="en">English</option>
    </select>
  );
}
