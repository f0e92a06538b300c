import { useLayoutEffect, useRef, type RefObject } from "react";

/** A ref for what is taken away at times: a keyboard that is on it then goes on at `next`, not nowhere. */
export function useHandOver<T extends HTMLElement>(
  next: RefObject<HTMLElement | null>,
): RefObject<T | null> {
  const own = useRef<T>(null);
  useLayoutEffect(() => {
    const element = own.current;
    return () => {
      // A finger is left alone: on a phone the focus opens the keyboard.
      if (element?.matches(":focus-visible")) next.current?.focus();
    };
  }, [next]);
  return own;
}
