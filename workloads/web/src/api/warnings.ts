import { KINDS, type Warning } from "./usageTypes";

/** Name of the header with which an answer warns. */
export const WARNING_HEADER = "x-lotoai-budget-warning";

const WARNING = /^([^;]+); (\w+)=(?:(\d+)%|unknown)(?:; resets=(\S+))?$/;

/**
 * Reads `day; tokens=85%; resets=2026-11-27T00:00:00Z`. A browser joins several with commas, which
 * neither names nor times hold. What cannot be read is left out: a notice is not worth a fault.
 */
export function parseWarnings(header: string | null): Warning[] {
  return (header ?? "").split(",").flatMap((text) => {
    const [, name, unit, percent, resetsAt] = WARNING.exec(text.trim()) ?? [];
    const kind = KINDS.find((it) => it === unit);
    if (!name || !kind) return [];
    return [{ name, kind, percent: percent ? Number(percent) : null, resetsAt: resetsAt ?? null }];
  });
}

/** What is told apart when a person has closed a notice: the same budget, in the same window. */
export function warningKey(warning: Warning): string {
  const isFull = warning.percent !== null && warning.percent >= 100;
  return [warning.name, warning.kind, warning.resetsAt, isFull].join(" ");
}
