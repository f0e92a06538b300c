//! The Responses API.

use serde_json::Value;
use utoipa::ToSchema;

use super::chat::AnswerDetails;

/// A question in the words of the Responses API.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponsesRequest {
    /// `lotoai`, which decides by itself, or the name of a role.
    #[schema(max_length = 128)]
    pub model: String,
    /// A text, or a list of what was said and of results of functions.
    pub input: Option<Value>,
    /// What stands before all that was said.
    pub instructions: Option<String>,
    /// Whether the answer comes as server-sent events while it is written.
    #[schema(default = false)]
    pub stream: Option<bool>,
    /// Whether it is answered without anybody who waits, and its events are told again: by
    /// `GET /v1/responses/{id}`. It needs to be stored.
    #[schema(default = false)]
    pub background: Option<bool>,
    /// Longest answer, in tokens.
    #[schema(minimum = 1)]
    pub max_output_tokens: Option<u32>,
    /// Randomness.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Share of the probability that is drawn from.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    /// How the model thinks: `effort` is `none`, `minimal`, `low`, `medium`, `high` or `xhigh`. No
    /// summary is made.
    pub reasoning: Option<Value>,
    /// Whether question and answer are stored.
    #[schema(default = true)]
    pub store: Option<bool>,
    /// The stored conversation that goes on: its id, or an object with it.
    pub conversation: Option<Value>,
    /// The newest response of the conversation that goes on.
    pub previous_response_id: Option<String>,
    /// Functions that the caller runs itself.
    pub tools: Option<Vec<Value>>,
    /// Whether one of them must be called, and which.
    pub tool_choice: Option<Value>,
    /// Whether the model may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// What the answer is written as: `format` is an object with `type` `text`, `json_object` or
    /// `json_schema`, `verbosity` is `low`, `medium` or `high`.
    pub text: Option<Value>,
    /// More to say with the answer. There is none of it here; `message.output_text.logprobs` is
    /// refused.
    pub include: Option<Value>,
    /// Names and values that the response repeats.
    pub metadata: Option<Value>,
}

/// What was sent with a response: a part of it.
#[derive(Debug, ToSchema)]
pub struct ResponseInputItems {
    /// `list`.
    pub object: String,
    /// Messages, calls of functions and their results.
    pub data: Vec<Value>,
    /// Identity of the first item.
    pub first_id: Option<String>,
    /// Identity of the last item: what follows it is asked for with `after`.
    pub last_id: Option<String>,
    /// Whether anything follows.
    pub has_more: bool,
}

/// A response that is gone.
#[derive(Debug, ToSchema)]
pub struct DeletedResponse {
    /// Its identity.
    pub id: String,
    /// `response`.
    pub object: String,
    /// `true`.
    pub deleted: bool,
}

/// A response. Beside these fields it repeats those of its request.
#[derive(Debug, ToSchema)]
pub struct ResponsesAnswer {
    /// Identity.
    pub id: String,
    /// `response`.
    pub object: String,
    /// Unix seconds.
    pub created_at: u64,
    /// `completed`, `incomplete`, `in_progress`, `failed` or `cancelled`.
    pub status: String,
    /// The model as it was named.
    pub model: String,
    /// Messages and calls of functions.
    pub output: Vec<Value>,
    /// Tokens that were read and written; `null` when the model did not count.
    pub usage: Option<Value>,
    /// What LotoAI adds.
    pub lotoai: AnswerDetails,
}
