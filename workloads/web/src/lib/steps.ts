import type { DocumentStep } from "../api/types";

/** How long a step took, in seconds with one decimal; null while it lasts. */
export function tookText(language: string, step: DocumentStep): string | null {
  if (step.ended_at === null) return null;
  const seconds = (Date.parse(step.ended_at) - Date.parse(step.began_at)) / 1000;
  const unit = { style: "unit", unit: "second", maximumFractionDigits: 1 } as const;
  return new Intl.NumberFormat(language, unit).format(seconds);
}
