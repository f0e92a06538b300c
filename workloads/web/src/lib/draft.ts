/**
 * What somebody is writing. It outlives the page on which it is written, so that it is not lost with
 * the session, and is kept in no other place than the memory of the tab.
 */
export interface Draft {
  read(): string;
  change(update: (text: string) => string): void;
  /** Calls `listener` after each change, until what it gives is called. */
  subscribe(listener: () => void): () => void;
}

export function newDraft(): Draft {
  let text = "";
  const listeners = new Set<() => void>();
  return {
    read: () => text,
    change: (update) => {
      text = update(text);
      listeners.forEach((listener) => listener());
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
