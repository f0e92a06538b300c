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

/** A question to the gateway. Another function is another question. */
export type Read<T> = () => Promise<T>;

/** What is known of the question that was answered last. */
export interface Known<T> {
  of: Read<T>;
  value: T | null;
  error: unknown;
}

/** What is known of `read`: nothing, where something else was read. */
export function knownOf<T>(known: Known<T> | null, read: Read<T>): Known<T> {
  return known?.of === read ? known : { of: read, value: null, error: null };
}

/**
 * Reads now, and again with each `version` and whenever `read` is another one. What was read stays
 * until it is read again, but is never shown for another `read`. What comes after a newer question
 * is dropped.
 */
export function useLoad<T>(
  read: Read<T>,
  onError: (error: unknown) => void,
  version = 0,
): Loaded<T> {
  const [known, setKnown] = useState<Known<T> | null>(null);
  const [isReading, setReading] = useState(true);
  const [reads, setReads] = useState(0);
  useEffect(() => {
    let isCurrent = true;
    setReading(true);
    read()
      .then(
        (value) => {
          if (isCurrent) setKnown({ of: read, value, error: null });
        },
        (error: unknown) => {
          if (!isCurrent) return;
          setKnown((known) => ({ ...knownOf(known, read), error }));
          onError(error);
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
  const { value, error } = knownOf(known, read);
  return { value, error, isReading: isReading || known?.of !== read, reload };
}
