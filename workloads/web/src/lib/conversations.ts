import type { ConversationSummary, Found } from "../api/types";

/** A conversation in the list; with a snippet where it was looked for. */
export type Item = ConversationSummary & Partial<Pick<Found, "snippet">>;

/** A deleted conversation, and the one that stood behind it. */
export interface Deleted {
  item: Item;
  before: string | null;
}

/** What brings a conversation back that is taken out of this list; null where it is not in it. */
export function deletedFrom(items: Item[], id: string): Deleted | null {
  const at = items.findIndex((item) => item.id === id);
  const item = items[at];
  return item ? { item, before: items[at + 1]?.id ?? null } : null;
}

/** The list with a deleted conversation where it stood; first when that place is gone. */
export function putBack(items: Item[], deleted: Deleted): Item[] {
  if (items.some((item) => item.id === deleted.item.id)) return items;
  const at =
    deleted.before === null
      ? items.length
      : Math.max(0, items.findIndex((item) => item.id === deleted.before));
  return [...items.slice(0, at), deleted.item, ...items.slice(at)];
}

/** The list with another title of one conversation. */
export function renamed(items: Item[], id: string, title: string): Item[] {
  return items.map((item) => (item.id === id ? { ...item, title } : item));
}
