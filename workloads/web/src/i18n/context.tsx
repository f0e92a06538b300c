import {
  createContext,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
  type ReactNode,
} from "react";
import { ApiError } from "../api/http";
import { isKey, pickLanguage, translate, type Language, type Translate } from "./dictionary";

const STORED = "lotoai.language";

interface I18n {
  language: Language;
  setLanguage(language: Language): void;
  t: Translate;
  /** A sentence for people about anything that was thrown. */
  explain(error: unknown): string;
  /** Date and time of an RFC 3339 text, here and in this language. */
  moment(text: string): string;
}

const Context = createContext<I18n | null>(null);

export function I18nProvider({ children }: { children: ReactNode }) {
  const [language, setState] = useState<Language>(() =>
    pickLanguage([localStorage.getItem(STORED), ...navigator.languages]),
  );
  const setLanguage = useCallback((next: Language) => {
    localStorage.setItem(STORED, next);
    setState(next);
  }, []);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const value = useMemo<I18n>(() => {
    const t: Translate = (key, values) => translate(language, key, values);
    const explain = (error: unknown) => {
      if (!(error instanceof ApiError)) return String(error);
      const key = "error." + error.code;
      return isKey(key) ? t(key) : error.message;
    };
    const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
    const moment = (text: string) => format.format(new Date(text));
    return { language, setLanguage, t, explain, moment };
  }, [language, setLanguage]);
  return <Context value={value}>{children}</Context>;
}

export function useI18n(): I18n {
  const value = useContext(Context);
  if (!value) throw new Error("useI18n needs an I18nProvider around it");
  return value;
}
