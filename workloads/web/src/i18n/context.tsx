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
import type { Amount, Kind } from "../api/usageTypes";
import { amountText, untilText } from "../lib/amounts";
import { errorText } from "../lib/failed";
import { refusalText } from "../lib/refusal";
import { pickLanguage, translate, type Language, type Translate } from "./dictionary";

const STORED = "lotoai.language";

interface I18n {
  language: Language;
  setLanguage(language: Language): void;
  t: Translate;
  /** A sentence for people about anything that was thrown. */
  explain(error: unknown): string;
  /** Date and time of an RFC 3339 text, here and in this language. */
  moment(text: string): string;
  /** How long it is until an RFC 3339 text. */
  until(text: string): string;
  /** An amount with what it counts. */
  amount(kind: Kind, amount: Amount): string;
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
    const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
    const moment = (text: string) => format.format(new Date(text));
    const until = (text: string) => untilText(language, text, Date.now());
    const amount = (kind: Kind, amount: Amount) => amountText(language, t, kind, amount);
    const explain = (error: unknown) => {
      if (!(error instanceof ApiError)) return String(error);
      if (error.budget) return refusalText({ language, t, amount, moment, until }, error.budget);
      return errorText(t, error);
    };
    return { language, setLanguage, t, explain, moment, until, amount };
  }, [language, setLanguage]);
  return <Context value={value}>{children}</Context>;
}

export function useI18n(): I18n {
  const value = useContext(Context);
  if (!value) throw new Error("useI18n needs an I18nProvider around it");
  return value;
}
