//! What conversations and their messages are made of.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::approval::ApprovalRequest;
use crate::openapi::bodies::chat::{Citation, ToolCall};

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ConversationSummary {
    /// Identity.
    pub id: Uuid,
    /// Its first question, shortened.
    pub title: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; time of the newest message.
    pub updated_at: String,
    /// Where it was branched from; `null` where it was begun anew.
    pub branched_from: Option<Origin>,
    /// Microseconds of `updated_at`: the place in the list.
    #[serde(skip)]
    pub updated_micros: i64,
}

/// Where a branch begins. Both may be gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Origin {
    /// The conversation that it comes from.
    pub conversation_id: Uuid,
    /// The last message of that which the branch has, too.
    pub message_id: Uuid,
}

/// A conversation with its messages.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Conversation {
    /// What lists show, too.
    #[serde(flatten)]
    pub summary: ConversationSummary,
    /// The newest, oldest first.
    pub messages: Vec<StoredMessage>,
    /// What gets the messages before these, at `GET /api/conversations/{id}/messages`; `null` where
    /// there are none.
    pub next_cursor: Option<String>,
}

/// A message as stored.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StoredMessage {
    /// Identity.
    pub id: Uuid,
    /// `user`, `assistant` or `tool`.
    pub role: String,
    /// Text.
    pub content: String,
    /// The run that wrote it; answers only.
    pub run_id: Option<Uuid>,
    /// `ok`, `cancelled` or a failure code; answers only.
    pub outcome: Option<String>,
    /// The model that wrote it; answers only.
    pub model: Option<String>,
    /// Why it was answered as it was; answers only.
    pub decision: Option<StoredDecision>,
    /// What the answer rests on.
    #[schema(value_type = Vec<Citation>)]
    pub citations: Value,
    /// Tools that were called.
    #[schema(value_type = Vec<ToolCall>)]
    pub tool_calls: Value,
    /// Calls of tools that wait, or waited, for consent.
    #[schema(value_type = Vec<ApprovalRequest>)]
    pub approvals: Value,
    /// Functions of the caller that the answer asked for.
    pub function_calls: Vec<StoredCall>,
    /// The call whose result it is; results of the caller's functions only.
    pub function_call_id: Option<String>,
    /// RFC 3339.
    pub created_at: String,
}

/// A message, and its place in its conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedMessage {
    /// What was said.
    pub message: StoredMessage,
    /// Its place; a later message has a higher one.
    pub position: i64,
}

/// Messages of a conversation before a place.
#[derive(Debug, Clone, PartialEq)]
pub struct MessagePage {
    /// The newest first.
    pub messages: Vec<PlacedMessage>,
    /// Whether there are more before them.
    pub has_more: bool,
}

/// How much is read at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Messages.
    pub messages: i64,
    /// Their bytes in all, as they are stored.
    pub bytes: i64,
}

/// A call of a function that the caller runs itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoredCall {
    /// Identity, made by the model's provider.
    pub id: String,
    /// The function.
    pub name: String,
    /// Arguments as the model wrote them: mostly JSON, never checked.
    pub arguments: String,
}

/// A decision of the orchestrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoredDecision {
    /// `knowledge`, `agent` or `tool`.
    pub route: String,
    /// Knowledge base, role or tool.
    pub target: String,
    /// Sentence for people.
    pub reason: String,
    /// 0 to 1.
    pub confidence: f32,
}

/// A message to store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewMessage {
    /// `user`, `assistant` or `tool`.
    pub role: String,
    /// Text.
    pub content: String,
    /// Functions of the caller that it asked for.
    pub function_calls: Vec<StoredCall>,
    /// The call whose result it is.
    pub function_call_id: Option<String>,
}

/// An answer to store.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The conversation it belongs to.
    pub conversation_id: Uuid,
    /// The run.
    pub run_id: Uuid,
    /// Text.
    pub content: String,
    /// `ok`, `cancelled` or a failure code.
    pub outcome: String,
    /// The model that wrote it.
    pub model: Option<String>,
    /// Why it was answered as it was.
    pub decision: Option<StoredDecision>,
    /// What it rests on.
    pub citations: Value,
    /// Tools that were called.
    pub tool_calls: Value,
    /// Calls of tools that it asks consent for.
    pub approvals: Vec<Value>,
    /// Functions of the caller that it asks for.
    pub function_calls: Vec<StoredCall>,
}
