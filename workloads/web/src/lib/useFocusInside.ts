import { useEffect, useRef, type RefObject } from "react";

/**
 * Puts the focus on an element when it appears and whenever `shown` changes. When it goes and the
 * focus with it, that is put back to where it was the last time outside of `panel`.
 */
export function useFocusInside<T extends HTMLElement>(
  shown?: unknown,
  panel?: RefObject<HTMLElement | null>,
) {
  const target = useRef<T>(null);
  const before = useRef<Element | null>(null);
  useEffect(() => {
    const from = document.activeElement;
    if (from !== target.current && !panel?.current?.contains(from)) before.current = from;
    target.current?.focus();
  }, [shown, panel]);
  useEffect(
    () => () => {
      // Who has gone on to something else stays there.
      const isLost = document.activeElement === null || document.activeElement === document.body;
      if (isLost && before.current instanceof HTMLElement) before.current.focus();
    },
    [],
  );
  return target;
}
