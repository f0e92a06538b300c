import type { Document } from "../api/types";

/** A document that is indexed, but for these fields. */
export const document = (id: string, fields: Partial<Document> = {}): Document => ({
  id,
  name: id + ".txt",
  media_type: "text/plain",
  size: 8,
  knowledge_base: "default",
  status: "indexed",
  step: null,
  done: 0,
  total: 0,
  steps: [],
  chunks: 1,
  error: null,
  created_at: "2026-11-27T00:00:00Z",
  may_change: true,
  ...fields,
});
