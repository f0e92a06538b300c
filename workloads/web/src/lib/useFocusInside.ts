import { useEffect, useRef } from "react";

/**
 * Puts the focus on an element when it appears and whenever `shown` changes, and back to where it
 * was when it goes.
 */
export function useFocusInside<T extends HTMLElement>(shown?: unknown) {
  const target = useRef<T>(null);
  useEffect(() => {
    const before = document.activeElement;
    target.current?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, [shown]);
  return target;
}
