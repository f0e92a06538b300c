import { useCallback, useLayoutEffect, useRef } from "react";

/** Pixels above the end of a list from which on one still reads what comes last: about a line. */
const NEAR = 32;

/** Whether the end of a list is in sight, or almost. */
export function isNearEnd(
  list: Pick<HTMLElement, "scrollHeight" | "scrollTop" | "clientHeight">,
): boolean {
  return list.scrollHeight - list.scrollTop - list.clientHeight <= NEAR;
}

/**
 * Brings the end of a list into sight when something else comes last in it (`key`). While that one
 * grows (`text`) only where the end was in sight before: who reads further up stays there.
 */
export function useFollow(key: string | undefined, text: string | undefined) {
  const list = useRef<HTMLDivElement>(null);
  const end = useRef<HTMLDivElement>(null);
  const last = useRef<string | undefined>(undefined);
  /** As it was before the last change: what has just come is below it. */
  const isNear = useRef(true);
  // With the change itself: a scroll event in between would be measured with what has just come.
  useLayoutEffect(() => {
    if (key !== last.current) isNear.current = true;
    last.current = key;
    if (isNear.current) end.current?.scrollIntoView({ block: "nearest" });
  }, [key, text]);
  const onScroll = useCallback(() => {
    if (list.current) isNear.current = isNearEnd(list.current);
  }, []);
  return { list, end, onScroll };
}
