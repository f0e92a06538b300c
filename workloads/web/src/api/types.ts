/** The shapes of the gateway's API that the client uses. */

export interface Me {
  subject: string;
  name: string;
  groups: string[];
  admin: boolean;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface Model {
  id: string;
  type: "chat" | "embedding";
  description: string;
}

export type DocumentStatus = "uploaded" | "indexing" | "indexed" | "failed";

export interface Document {
  id: string;
  name: string;
  media_type: string;
  size: number;
  knowledge_base: string;
  status: DocumentStatus;
  step: string | null;
  done: number;
  total: number;
  /** Those that were heard of, in their order. A replica from before an upgrade does not tell them. */
  steps?: DocumentStep[];
  chunks: number | null;
  error: { code: string; message: string } | null;
  created_at: string;
  /**
   * Whether one may delete it, or have it indexed again. A replica from before an upgrade does not
   * tell.
   */
  may_change?: boolean;
}

/** A step of ingestion: what was done in it, and when. */
export interface DocumentStep {
  step: string;
  began_at: string;
  /** Null while it lasts. */
  ended_at: string | null;
  done: number;
  /** 0 where it is not known. */
  total: number;
}

export interface Decision {
  route: string;
  target: string;
  reason: string;
  confidence: number;
}

export interface Citation {
  number: number;
  document_id: string;
  document_name: string;
  passage: string;
  heading: string;
  chunk_index: number;
  score: number;
}

export interface ToolCall {
  name: string;
  arguments: unknown;
  result: string;
  is_error: boolean;
}

/** A call of a tool that waits, or waited, for the consent of the person who asked. */
export interface ApprovalRequest {
  id: string;
  tool: string;
  /** What the tool would be given; an object, as tools have it. */
  arguments: unknown;
  description: string;
  /** RFC 3339; when it can be decided no more. */
  expires_at: string;
}

export type ApprovalState = "pending" | "approved" | "denied" | "expired";

/** An approval, and what became of it. */
export interface Approval extends ApprovalRequest {
  state: ApprovalState;
  run_id: string;
  /** Null where nothing of the exchange is stored. */
  conversation_id: string | null;
  created_at: string;
  decided_at: string | null;
  reason: string | null;
  /** The run that went on after the decision. */
  answer_run_id: string | null;
}

/** What a person decides. */
export interface Verdict {
  decision: "approve" | "deny";
  /** What the tool is given instead of what was asked for. */
  arguments?: Record<string, unknown>;
  reason?: string;
}

/** Where an answer is stored. */
export interface AnswerPlace {
  run_id: string;
  /** Null where it is not told. */
  conversation_id: string | null;
}

/** The `lotoai` object of a chat response. */
export interface Extra {
  run_id: string;
  conversation_id: string | null;
  decision: Decision | null;
  citations: Citation[];
  tool_calls: ToolCall[];
  approvals: ApprovalRequest[];
}

export interface ConversationSummary {
  id: string;
  title: string;
  created_at: string;
  updated_at: string;
  branched_from: { conversation_id: string; message_id: string } | null;
}

/** A piece of a text that was searched. It is text, whatever it looks like. */
export interface Piece {
  text: string;
  is_match: boolean;
}

/** A conversation that was looked for, and where it has the words. */
export interface Found extends ConversationSummary {
  message_id: string | null;
  snippet: Piece[];
}

export interface StoredMessage {
  id: string;
  run_id: string | null;
  role: string;
  content: string;
  outcome: string | null;
  decision: Decision | null;
  citations: Citation[];
  tool_calls: ToolCall[];
  approvals: ApprovalRequest[];
}

/** What a key may be allowed, in the order in which it is offered. */
export const SCOPES = [
  "chat",
  "embeddings",
  "conversations:read",
  "conversations:write",
  "documents:read",
  "documents:write",
  "admin",
] as const;
export type Scope = (typeof SCOPES)[number];

/** An API key as it is listed: enough of it to know it again, and not the key. */
export interface ApiKey {
  id: string;
  shown: string;
  name: string;
  scopes: string[];
  /** The only models that it may name; null is every one of its owner. */
  models: string[] | null;
  created_at: string;
  expires_at: string;
  last_used_at: string | null;
}

/** A key as administrators see it. */
export interface OwnedApiKey extends ApiKey {
  /** `sub` of its owner. */
  owner: string;
}

/** A key in the one answer that holds it. */
export interface NewApiKey extends ApiKey {
  key: string;
}

export interface KeyRequest {
  name: string;
  scopes: Scope[];
  /** 1 to 365. */
  expires_in_days: number;
}

/** A browser session. */
export interface Session {
  id: string;
  user_agent: string;
  created_at: string;
  last_used_at: string;
  expires_at: string;
  /** Whether it is the one that asks. */
  current: boolean;
}

/** A session as administrators see it. */
export interface OwnedSession extends Session {
  /** `sub` of the person who is signed in. */
  subject: string;
}

/** How many sessions ended. */
export interface EndedSessions {
  sessions: number;
}

/** How many of each are gone. */
export interface Erased {
  conversations: number;
  documents: number;
  api_keys: number;
  usage_days: number;
  open_questions: number;
  budget_windows: number;
  idempotency_keys: number;
  sessions: number;
}
