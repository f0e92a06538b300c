import type { Document, Page } from "../api/types";

/** A document in the list, with the milliseconds of when it was last heard to have come further. */
export type Listed = Document & { heardAt: number };

/** The list of documents as far as it is known, the newest first: in falling order of their ids. */
export interface Known {
  /** Null until something of it is known. */
  documents: Listed[] | null;
  /** Id of the first one when the first page was read last: "" of an empty page, null before. */
  top: string | null;
  /** Of the next page; null where there is none, or none is known of. */
  cursor: string | null;
}

export const NOTHING: Known = { documents: null, top: null, cursor: null };

/** A page of the list as the gateway told it. */
export interface Told {
  page: Page<Document>;
  /** When that was. */
  now: number;
  /** Whether something newer was told of a document since the page was asked for: then that holds. */
  isOld(id: string): boolean;
}

/** Milliseconds after which the gateway indexes a document again of which nothing was heard. */
const FORGOTTEN_AFTER = 30 * 60_000;
/** Milliseconds between two looks at the list while a document in it moves. */
const POLL = 1500;
/** The same when nothing is heard of those any more. */
const POLL_FORGOTTEN = 60_000;
/** Most documents that are read one by one with a look at the list. */
const MOST_APART = 10;

/** Whether ingestion has yet to come to an end of it. */
export function isMoving({ status }: Pick<Document, "status">): boolean {
  return status === "uploaded" || status === "indexing";
}

/** Whether the gateway may index it again. Where it has just heard of it, it leaves it as it is. */
export function mayRetry(document: Listed, now: number): boolean {
  return document.status === "failed" || isForgotten(document, now);
}

function isForgotten(document: Listed, now: number): boolean {
  return isMoving(document) && now - document.heardAt > FORGOTTEN_AFTER;
}

/** Milliseconds until the list should be looked at again; null where nothing in it moves. */
export function pollEvery(documents: Listed[] | null, now: number): number | null {
  const moving = (documents ?? []).filter(isMoving);
  if (moving.length === 0) return null;
  return moving.every((it) => isForgotten(it, now)) ? POLL_FORGOTTEN : POLL;
}

/**
 * The list with its first page, which was read anew. What stands below that page stays, and what
 * stood in its range and is not on it is gone.
 */
export function withFirstPage(known: Known, told: Told): Known {
  const { items, next_cursor } = told.page;
  const ids = new Set(items.map((it) => it.id));
  const last = next_cursor === null ? "" : (items.at(-1)?.id ?? "");
  const rest = (known.documents ?? []).filter(
    (it) => ids.has(it.id) || it.id < last || told.isOld(it.id),
  );
  // Else more has come than fits on a page, and what is between is read with the next one.
  const isJoined = known.top !== null && known.top >= last;
  return {
    ...withDocuments({ ...known, documents: rest }, fresh(told), told.now),
    top: items[0]?.id ?? "",
    cursor: isJoined && next_cursor !== null ? known.cursor : next_cursor,
  };
}

/** The list with the page that `cursor` led to. */
export function withPage(known: Known, cursor: string, told: Told): Known {
  return {
    ...withDocuments(known, fresh(told), told.now),
    cursor: known.cursor === cursor ? told.page.next_cursor : known.cursor,
  };
}

function fresh({ page, isOld }: Told): Document[] {
  return page.items.filter((it) => !isOld(it.id));
}

/** The list with what was told of documents, each in its place. */
export function withDocuments(known: Known, documents: Document[], now: number): Known {
  const before = new Map((known.documents ?? []).map((it) => [it.id, it]));
  const told = documents.map((it) => ({ ...it, heardAt: heardOf(it, before.get(it.id), now) }));
  return withListed(known, told);
}

/** The list with a document that has just been sent, or sent on its way again. */
export function withSent(known: Known, document: Document, now: number): Known {
  return withListed(known, [{ ...document, heardAt: now }]);
}

function withListed(known: Known, told: Listed[]): Known {
  const all = new Map([...(known.documents ?? []), ...told].map((it) => [it.id, it]));
  return { ...known, documents: [...all.values()].sort((a, b) => (a.id < b.id ? 1 : -1)) };
}

/** The list without a document. */
export function withoutDocument(known: Known, id: string): Known {
  return { ...known, documents: known.documents?.filter((it) => it.id !== id) ?? null };
}

/**
 * What moves and is not on the first page, so that each must be read by itself. At most so many at a
 * time: first those that were told of the longest time ago.
 */
export function apart(known: Known, page: Page<Document>, toldAt: (id: string) => number): string[] {
  const ids = new Set(page.items.map((it) => it.id));
  return (known.documents ?? [])
    .filter((it) => isMoving(it) && !ids.has(it.id))
    .map((it) => it.id)
    .sort((a, b) => toldAt(a) - toldAt(b))
    .slice(0, MOST_APART);
}

/** When a document came further: now, if it has since it was told before. */
function heardOf(document: Document, before: Listed | undefined, now: number): number {
  if (!before) return newestTime(document);
  const { status, step, done } = before;
  const isSame = document.status === status && document.step === step && document.done === done;
  return isSame ? before.heardAt : now;
}

/** The newest time in a document. When its content was replaced, or a step moved on, is not in it. */
function newestTime({ created_at, steps = [] }: Document): number {
  const times = steps.flatMap((step) => [step.began_at, step.ended_at ?? step.began_at]);
  return Math.max(...[created_at, ...times].map(Date.parse));
}
