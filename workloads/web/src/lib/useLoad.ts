import { useCallback, useEffect, useState } from "react";

/** Something that is read from the gateway. */
export interface Loaded<T> {
  /** What was read last; null until it was read once. */
  value: T | null;
  /** Why it could not be read the last time; null when it was. */
  error: unknown;
  isReading: boolean;
  reload(): void;
}

/**
 * Reads now, and again with each `version` and whenever `read` is another one. What comes after a
 * newer question is dropped.
 */
export function useLoad<T>(
  read: () => Promise<T>,
  onError: (error: unknown) => void,
  version = 0,
): Loaded<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [isReading, setReading] = useState(true);
  const [reads, setReads] = useState(0);
  useEffect(() => {
    let isCurrent = true;
    setReading(true);
    read()
      .then(
        (next) => {
          if (!isCurrent) return;
          setValue(next);
          setError(null);
        },
        (cause: unknown) => {
          if (!isCurrent) return;
          setError(cause);
          onError(cause);
        },
      )
      .finally(() => {
        if (isCurrent) setReading(false);
      });
    return () => {
      isCurrent = false;
    };
  }, [read, onError, reads, version]);
  const reload = useCallback(() => setReads((count) => count + 1), []);
  return { value, error, isReading, reload };
}
