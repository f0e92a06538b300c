import type { ApprovalRequest, ApprovalState, Verdict } from "../api/types";

/** How far an approval is, as far as it is known here. */
export type Standing = ApprovalState | "loading" | "gone";

/** Arguments that were read from a text, or what is wrong with it. */
export type Read = { value: Record<string, unknown> } | { fault: "json" | "object" };

/** Arguments for people to read and to edit. */
export function argumentsText(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? "";
}

/** Arguments as a person has written them. */
export function readArguments(text: string): Read {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { fault: "json" };
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? { value: value as Record<string, unknown> } : { fault: "object" };
}

/** The decision to send: with arguments only where they are others than were asked for. */
export function verdictOf(
  decision: Verdict["decision"],
  request: ApprovalRequest,
  edited: Record<string, unknown> | null,
  reason: string,
): Verdict {
  const isChanged = edited !== null && !isSame(edited, request.arguments);
  return {
    decision,
    ...(decision === "approve" && isChanged ? { arguments: edited } : {}),
    ...(reason.trim() ? { reason: reason.trim() } : {}),
  };
}

/** What waits past its end has expired, whenever it was read. */
export function standingAt(standing: Standing, expiresAt: string, now: number): Standing {
  return standing === "pending" && Date.parse(expiresAt) <= now ? "expired" : standing;
}

/** Whether two values are the same JSON, in whatever order their fields stand. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
    return one === other;
  }
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  const [left, right] = [one as Record<string, unknown>, other as Record<string, unknown>];
  return names.every((name) => Object.hasOwn(right, name) && isSame(left[name], right[name]));
}
