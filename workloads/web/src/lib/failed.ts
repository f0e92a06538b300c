import type { ApiError } from "../api/http";
import { isKey, type Translate } from "../i18n/dictionary";

/** What became of a stored answer that is not whole, as a sentence. */
export function failedText(t: Translate, code: string): string {
  // Looking back there may be another thing to say than while it happens.
  const key = ["failed." + code, "error." + code].find(isKey);
  return key === undefined ? t("answer.failed", { code }) : t(key);
}

/** What went wrong just now, as a sentence; in the gateway's words where there are no others. */
export function errorText(t: Translate, { status, code, message }: ApiError): string {
  const key = ["error." + code, "failed." + code].find(isKey);
  if (key !== undefined) return t(key);
  // Whatever stands before the gateway names no code.
  return code === "http_" + status ? t("error.http", { status }) : message;
}
