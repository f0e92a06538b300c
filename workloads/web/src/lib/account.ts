import type { KeyRequest, Scope } from "../api/types";

/** Days that a key lives. */
export const DAYS = { least: 1, most: 365, usual: 90 };

/** What the form for a new key holds. */
export interface KeyForm {
  name: string;
  scopes: readonly Scope[];
  days: string;
}

/** The field of the form that must be filled in otherwise; null when it can be sent. */
export function faultOf(form: KeyForm): keyof KeyForm | null {
  const days = Number(form.days);
  if (form.name.trim() === "") return "name";
  if (form.scopes.length === 0) return "scopes";
  if (!Number.isInteger(days) || days < DAYS.least || days > DAYS.most) return "days";
  return null;
}

export function toRequest(form: KeyForm): KeyRequest {
  return {
    name: form.name.trim(),
    scopes: [...form.scopes],
    expires_in_days: Number(form.days),
  };
}

/** Whether what was typed is the phrase. Capitals and spaces around and between do not matter. */
export function isTyped(phrase: string, typed: string): boolean {
  const plain = (text: string) => text.trim().toLowerCase().replace(/\s+/g, " ");
  return plain(typed) === plain(phrase);
}

// The first that fits: most browsers name others, too.
const BROWSERS: [RegExp, string][] = [
  [/\bEdg(e|A|iOS)?\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\b(Firefox|FxiOS)\//, "Firefox"],
  [/\b(Chrome|CriOS|Chromium)\//, "Chrome"],
  [/\bSafari\//, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b/, "Linux"],
];

/** What a browser and its system are called; null for what calls itself otherwise. */
export function browserOf(userAgent: string): { browser: string; system: string } | null {
  const first = (names: [RegExp, string][]) => names.find(([mark]) => mark.test(userAgent))?.[1];
  const browser = first(BROWSERS);
  const system = first(SYSTEMS);
  return browser && system ? { browser, system } : null;
}
