//! The request of `POST /v1/chat/completions`, checked.

use lotoai_contracts::v1::{AnswerFormat, Functions, Message, Sampling};
use lotoai_policy::probe;
use serde_json::Value;
use uuid::Uuid;

use super::content;
use super::fields::Fields;
use super::format;
use super::functions::{self, Dialect};
use super::{json_body, refused, sampling};
use crate::failure::Failure;

/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Most messages in one request.
pub const MAX_MESSAGES: usize = 200;
/// Longest model name, in characters.
const MAX_MODEL_CHARS: usize = 128;
/// Largest `max_tokens`; more is a mistake with every model there is.
pub(super) const MAX_TOKENS: u32 = 1_000_000;

/// The parameters of OpenAI's API and no others; a name that OpenAI does not have is a mistake.
pub const PARAMETERS: [&str; 35] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

/// Those that are taken without effect, since real clients send them: they are about who asks, how
/// soon, and what is kept meanwhile, and say nothing of the answer.
pub const PASSED_OVER: [&str; 6] = [
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "user",
];

/// A checked request: what is asked, in whichever API.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// Model as named by the caller.
    pub model: String,
    /// Messages as sent, oldest first.
    pub messages: Vec<Message>,
    /// Functions that the caller runs itself.
    pub functions: Option<Functions>,
    /// What the answer is written as; `None` is plain text.
    pub format: Option<AnswerFormat>,
    /// Whether to stream.
    pub stream: bool,
    /// Whether a stream ends with a usage chunk.
    pub include_usage: bool,
    /// Whether a client may come back to the answer after its connection was lost.
    pub resumable: bool,
    /// What a response repeats of its request, as JSON; `None` in chat completions.
    pub repeated: Option<String>,
    /// Longest answer, in tokens.
    pub max_tokens: Option<u32>,
    /// Randomness.
    pub temperature: Option<f32>,
    /// How else a model is to write.
    pub sampling: Sampling,
    /// Whether the exchange is stored.
    pub store: bool,
    /// The conversation that it continues.
    pub conversation_id: Option<Uuid>,
}

impl ChatRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 that names the field, or says where the JSON breaks.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let value = json_body::read(body)?;
        let fields = Fields::of(&value, "")?;
        fields.only(&PARAMETERS)?;
        let stream = fields.flag("stream")?.unwrap_or(false);
        let model = model(&fields)?;
        refused::check(&fields, refused::CHAT)?;
        let conversation_id = conversation_id(&fields)?;
        let max_tokens = fields.integer("max_tokens", 1..=MAX_TOKENS)?;
        let max_completion_tokens = fields.integer("max_completion_tokens", 1..=MAX_TOKENS)?;
        // The platform's own question leaves no trace.
        let store = fields.flag("store")?.unwrap_or(true) && model != probe::MODEL;
        let resumable = stream_option(&fields, "resumable")?;
        if resumable && !(stream && store) {
            return Err(fields.refuse(
                "stream_options.resumable",
                "stream_options.resumable needs stream: true and an answer that is stored: set \
                 stream, and leave store out",
            ));
        }
        Ok(Self {
            messages: messages(&fields, conversation_id.is_some())?,
            functions: functions::of_request(&fields, Dialect::Nested)?,
            format: format::of_request(&fields, "response_format", Dialect::Nested)?,
            include_usage: stream_option(&fields, "include_usage")?,
            resumable,
            repeated: None,
            max_tokens: max_completion_tokens.or(max_tokens),
            temperature: fields
                .number("temperature", 0.0..=2.0)?
                .map(|value| value as f32),
            sampling: sampling::of_chat(&fields)?,
            store,
            conversation_id,
            stream,
            model,
        })
    }

    /// Whether functions of the caller have a part in it.
    pub fn brings_functions(&self) -> bool {
        self.functions.is_some() || self.messages.iter().any(Message::is_of_functions)
    }

    /// The newest question.
    pub fn question(&self) -> &str {
        self.messages
            .iter()
            .rev()
            .find(|message| message.role == "user")
            .map_or("", |message| message.content.as_str())
    }
}

/// The model that a request names.
///
/// # Errors
/// 400 that names `model`, when there is none or it is no name.
pub(super) fn model(fields: &Fields<'_>) -> Result<String, Failure> {
    fields.required("model")?;
    let model = fields.text("model")?.unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || "-_.:/@".contains(c);
    if model.is_empty() || model.chars().count() > MAX_MODEL_CHARS || !model.chars().all(plain) {
        let message = format!(
            "model must be 1 to {MAX_MODEL_CHARS} letters, digits, or - _ . : / @; \
             GET /v1/models lists the names"
        );
        return Err(fields.refuse("model", message));
    }
    Ok(model.to_owned())
}

pub(super) fn stream_option(fields: &Fields<'_>, name: &str) -> Result<bool, Failure> {
    let Some(options) = fields.get("stream_options") else {
        return Ok(false);
    };
    Ok(Fields::of(options, "stream_options")?
        .flag(name)?
        .unwrap_or(false))
}

fn conversation_id(fields: &Fields<'_>) -> Result<Option<Uuid>, Failure> {
    let Some(metadata) = fields.get("metadata") else {
        return Ok(None);
    };
    let metadata = Fields::of(metadata, "metadata")?;
    let Some(id) = metadata.text("conversation_id")? else {
        return Ok(None);
    };
    Uuid::parse_str(id).map(Some).map_err(|_| {
        metadata.refuse(
            "conversation_id",
            "metadata.conversation_id must be the id of a stored conversation",
        )
    })
}

fn messages(fields: &Fields<'_>, goes_on: bool) -> Result<Vec<Message>, Failure> {
    let list = fields.list("messages")?;
    if list.is_empty() || list.len() > MAX_MESSAGES {
        let message = format!("messages must hold 1 to {MAX_MESSAGES} messages");
        return Err(fields.refuse("messages", message));
    }
    let messages = list
        .iter()
        .enumerate()
        .map(|(index, value)| message(value, &format!("messages[{index}]")))
        .collect::<Result<Vec<_>, _>>()?;
    if !asks(&messages, goes_on) {
        return Err(fields.refuse("messages", "messages must hold a user message with content"));
    }
    Ok(messages)
}

/// Whether there is something to answer: a question, or in a stored conversation (`goes_on`) what
/// came of a function.
pub(super) fn asks(messages: &[Message], goes_on: bool) -> bool {
    messages.iter().any(|message| {
        message.role == "user" && !message.content.trim().is_empty()
            || goes_on && !message.function_call_id.is_empty()
    })
}

fn message(value: &Value, path: &str) -> Result<Message, Failure> {
    let fields = Fields::of(value, path)?;
    let role = role(&fields)?;
    let content = content::text(&fields, "content", &["text"])?;
    if content.is_none() && role != "assistant" {
        // Only a message that calls functions may have none.
        fields.required("content")?;
    }
    let mut message = Message {
        role: role.to_owned(),
        content: content.unwrap_or_default(),
        ..Message::default()
    };
    match role {
        "assistant" => message.function_calls = functions::of_message(&fields)?,
        "tool" => message.function_call_id = functions::id(&fields, "tool_call_id")?,
        _ => {}
    }
    Ok(message)
}

fn role<'v>(fields: &Fields<'v>) -> Result<&'v str, Failure> {
    fields.required("role")?;
    match fields.text("role")?.unwrap_or_default() {
        // The newer name for the same thing.
        "developer" => Ok("system"),
        role @ ("system" | "user" | "assistant" | "tool") => Ok(role),
        _ => {
            let path = fields.path("role");
            let message = format!("{path} must be system, developer, user, assistant or tool");
            Err(fields.refuse("role", message))
        }
    }
}

#[cfg(test)]
#[path = "chat_request_tests.rs"]
mod tests;
