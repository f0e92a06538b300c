import { isKey, type Translate } from "../i18n/dictionary";

/** What became of a stored answer that is not whole, as a sentence. */
export function failedText(t: Translate, code: string): string {
  // Looking back there may be another thing to say than while it happens.
  const key = ["failed." + code, "error." + code].find(isKey);
  return key === undefined ? t("answer.failed", { code }) : t(key);
}
