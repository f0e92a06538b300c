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
  chunks: number | null;
  error: { code: string; message: string } | null;
  created_at: string;
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

/** The `lotoai` object of a chat response. */
export interface Extra {
  run_id: string;
  conversation_id: string | null;
  decision: Decision | null;
  citations: Citation[];
  tool_calls: ToolCall[];
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
}

export interface Conversation extends ConversationSummary {
  messages: StoredMessage[];
}
