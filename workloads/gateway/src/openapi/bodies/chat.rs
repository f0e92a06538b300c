//! Questions and answers.

use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::approval::ApprovalRequest;
use crate::store::StoredDecision;

/// A question.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatCompletionRequest {
    /// `lotoai`, which decides by itself, or the name of a role.
    #[schema(max_length = 128)]
    pub model: String,
    /// What was said, oldest first. In a stored conversation: what is new.
    #[schema(min_items = 1, max_items = 200)]
    pub messages: Vec<ChatMessage>,
    /// Whether the answer comes as server-sent events while it is written.
    #[schema(default = false)]
    pub stream: Option<bool>,
    /// What belongs to a stream.
    pub stream_options: Option<StreamOptions>,
    /// Longest answer, in tokens.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub max_completion_tokens: Option<u32>,
    /// The older name of `max_completion_tokens`.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub max_tokens: Option<u32>,
    /// Randomness.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Share of the probability that is drawn from.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    /// Makes drawing repeatable, as far as the provider can: some have no seeds.
    pub seed: Option<i64>,
    /// Text that ends the answer and is no part of it, or a list of at most 4; 1 to 256 bytes each.
    pub stop: Option<Value>,
    /// Makes tokens that are there already less likely.
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f64>,
    /// The same for each time that they are there.
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f64>,
    /// How long the model thinks: `none`, `minimal`, `low`, `medium`, `high` or `xhigh`.
    pub reasoning_effort: Option<String>,
    /// How much it says: `low`, `medium` or `high`.
    pub verbosity: Option<String>,
    /// 1: there is one answer to a request.
    #[schema(minimum = 1, maximum = 1)]
    pub n: Option<u32>,
    /// Whether question and answer are stored.
    #[schema(default = true)]
    pub store: Option<bool>,
    /// Where the exchange belongs.
    pub metadata: Option<ChatMetadata>,
    /// Functions that the caller runs itself.
    pub tools: Option<Vec<Value>>,
    /// Whether one of them must be called, and which.
    pub tool_choice: Option<Value>,
    /// Whether the model may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// What the answer is written as: an object with `type` `text`, `json_object` or `json_schema`.
    pub response_format: Option<Value>,
}

/// A message.
#[derive(Debug, ToSchema)]
pub struct ChatMessage {
    /// Who said it.
    pub role: Role,
    /// What was said; only an assistant's message may have none.
    pub content: Option<Content>,
    /// Calls of functions that an assistant's message made.
    pub tool_calls: Option<Vec<Value>>,
    /// The call that a tool's message answers.
    pub tool_call_id: Option<String>,
}

/// Who said something. `developer` is the newer name of `system`.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The one who set the program up.
    System,
    /// The same.
    Developer,
    /// The one who asks.
    User,
    /// The one who answers.
    Assistant,
    /// A tool.
    Tool,
}

/// A text, whole or in parts.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum Content {
    /// Whole.
    Text(String),
    /// In parts.
    Parts(Vec<TextPart>),
}

/// A part of a text.
#[derive(Debug, ToSchema)]
pub struct TextPart {
    /// `text`.
    pub r#type: String,
    /// The text.
    pub text: String,
}

/// What belongs to a stream.
#[derive(Debug, ToSchema)]
pub struct StreamOptions {
    /// Whether it ends with an event that holds `usage`.
    pub include_usage: Option<bool>,
    /// Whether a client may come back to it after its connection was lost. Needs `stream` and an
    /// answer that is stored.
    #[schema(default = false)]
    pub resumable: Option<bool>,
}

/// Where an exchange belongs. Other fields are the client's and are passed over.
#[derive(Debug, ToSchema)]
pub struct ChatMetadata {
    /// The stored conversation that goes on; without it a new one begins.
    pub conversation_id: Option<Uuid>,
}

/// An answer.
#[derive(Debug, ToSchema)]
pub struct ChatCompletion {
    /// Identity.
    pub id: String,
    /// `chat.completion`.
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// The model as it was named.
    pub model: String,
    /// One.
    pub choices: Vec<Choice>,
    /// `null` when the model did not count.
    pub usage: Option<TokenUsage>,
    /// What LotoAI adds.
    pub lotoai: AnswerDetails,
}

/// An answer in an answer of the API.
#[derive(Debug, ToSchema)]
pub struct Choice {
    /// 0.
    pub index: u32,
    /// The answer.
    pub message: AnswerMessage,
    /// `stop`, `length`, `content_filter` or `tool_calls`.
    pub finish_reason: String,
    /// `null`.
    pub logprobs: Option<Value>,
}

/// What was answered.
#[derive(Debug, ToSchema)]
pub struct AnswerMessage {
    /// `assistant`.
    pub role: String,
    /// Text, with marks such as `[1]` for citations; `null` beside calls of functions.
    pub content: Option<String>,
    /// Calls of the caller's functions.
    #[schema(nullable = false)]
    pub tool_calls: Option<Vec<Value>>,
    /// `null`.
    pub refusal: Option<String>,
}

/// Tokens that were read and written.
#[derive(Debug, ToSchema)]
pub struct TokenUsage {
    /// Read.
    pub prompt_tokens: u64,
    /// Written.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
}

/// Where an answer comes from.
#[derive(Debug, ToSchema)]
pub struct AnswerDetails {
    /// The run that made it.
    pub run_id: Uuid,
    /// The conversation that it is stored in.
    pub conversation_id: Option<Uuid>,
    /// Why it was answered as it was.
    pub decision: Option<StoredDecision>,
    /// What it rests on.
    pub citations: Vec<Citation>,
    /// Tools that were called.
    pub tool_calls: Vec<ToolCall>,
    /// Calls of tools that wait for consent: decided with POST /api/approvals/{id}.
    pub approvals: Vec<ApprovalRequest>,
    /// The model that answered.
    pub model: Option<String>,
    /// The provider that answered.
    pub provider: Option<String>,
}

/// A passage that an answer rests on.
#[derive(Debug, ToSchema)]
pub struct Citation {
    /// Its number in the text.
    pub number: u32,
    /// The document.
    pub document_id: String,
    /// Its name.
    pub document_name: String,
    /// The passage.
    pub passage: String,
    /// The heading above it.
    pub heading: String,
    /// Its place in the document.
    pub chunk_index: u32,
    /// How well it fits the question.
    pub score: f32,
}

/// A tool that was called.
#[derive(Debug, ToSchema)]
pub struct ToolCall {
    /// Its name.
    pub name: String,
    /// What it was given.
    pub arguments: Value,
    /// What it said.
    pub result: String,
    /// Whether it failed.
    pub is_error: bool,
}
