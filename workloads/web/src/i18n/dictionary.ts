import { en, type Key, type Texts } from "./en";
import { es } from "./es";

export type Language = "en" | "es";
export type Translate = (key: Key, values?: Record<string, string | number>) => string;

export const dictionaries: Record<Language, Texts> = { en, es };

/** The text of `key` with `{placeholders}` filled in. */
export function translate(
  language: Language,
  key: Key,
  values: Record<string, string | number> = {},
): string {
  return dictionaries[language][key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}

/** Whether a text exists; for keys that are made from the server's codes. */
export function isKey(key: string): key is Key {
  return Object.hasOwn(en, key);
}

/** The first of the wanted languages that there is; English otherwise. */
export function pickLanguage(wanted: readonly (string | null | undefined)[]): Language {
  for (const tag of wanted) {
    const base = tag?.toLowerCase().split("-")[0];
    if (base === "es" || base === "en") return base;
  }
  return "en";
}
