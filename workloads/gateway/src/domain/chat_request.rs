//! The request of `POST /v1/chat/completions`, checked.

use axum::http::StatusCode;
use lotoai_contracts::v1::Message;
use serde_json::Value;
use uuid::Uuid;

use super::fields::Fields;
use crate::failure::Failure;

/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Most messages in one request.
pub const MAX_MESSAGES: usize = 200;
/// Longest model name, in characters.
const MAX_MODEL_CHARS: usize = 128;
/// Largest `max_tokens`; more is a mistake with every model there is.
const MAX_TOKENS: u32 = 1_000_000;
/// The model that is answered without leaving a trace: the platform's own health probe.
pub const PROBE_MODEL: &str = "probe";

/// The parameters of OpenAI's API and no others. Those without effect here are taken and passed
/// over, since real clients send many; a name that OpenAI does not have is a mistake.
const PARAMETERS: [&str; 35] = [
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

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// Model as named by the caller.
    pub model: String,
    /// Messages as sent, oldest first.
    pub messages: Vec<Message>,
    /// Whether to stream.
    pub stream: bool,
    /// Whether a stream ends with a usage chunk.
    pub include_usage: bool,
    /// Whether a client may come back to the stream after its connection was lost.
    pub resumable: bool,
    /// Longest answer, in tokens.
    pub max_tokens: Option<u32>,
    /// Randomness.
    pub temperature: Option<f32>,
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
        let value = json(body)?;
        let fields = Fields::of(&value, "")?;
        fields.only(&PARAMETERS)?;
        let stream = fields.flag("stream")?.unwrap_or(false);
        let model = model(&fields)?;
        if fields.integer("n", 1..=128)?.is_some_and(|n| n != 1) {
            return Err(fields.refuse("n", "n must be 1: there is one answer to a request"));
        }
        let max_tokens = fields.integer("max_tokens", 1..=MAX_TOKENS)?;
        let max_completion_tokens = fields.integer("max_completion_tokens", 1..=MAX_TOKENS)?;
        let store = fields.flag("store")?.unwrap_or(true) && model != PROBE_MODEL;
        let resumable = stream_option(&fields, "resumable")?;
        if resumable && !(stream && store) {
            return Err(fields.refuse(
                "stream_options.resumable",
                "stream_options.resumable needs stream: true and an answer that is stored: set \
                 stream, and leave store out",
            ));
        }
        Ok(Self {
            messages: messages(&fields)?,
            include_usage: stream_option(&fields, "include_usage")?,
            resumable,
            max_tokens: max_completion_tokens.or(max_tokens),
            temperature: fields
                .number("temperature", 0.0..=2.0)?
                .map(|value| value as f32),
            store,
            conversation_id: conversation_id(&fields)?,
            stream,
            model,
        })
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

/// Reads a request body as JSON.
///
/// # Errors
/// 400 that says where it breaks.
pub fn json(body: &[u8]) -> Result<Value, Failure> {
    let text = std::str::from_utf8(body).map_err(|error| {
        bad_json(format!(
            "the request body is not UTF-8 at byte {}",
            error.valid_up_to()
        ))
    })?;
    serde_json::from_str(text).map_err(|error| {
        bad_json(format!(
            "the request body is not JSON at line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

fn bad_json(message: String) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid_json", message)
}

fn model(fields: &Fields<'_>) -> Result<String, Failure> {
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

fn stream_option(fields: &Fields<'_>, name: &str) -> Result<bool, Failure> {
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

fn messages(fields: &Fields<'_>) -> Result<Vec<Message>, Failure> {
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
    if !messages
        .iter()
        .any(|message| message.role == "user" && !message.content.trim().is_empty())
    {
        return Err(fields.refuse("messages", "messages must hold a user message with content"));
    }
    Ok(messages)
}

fn message(value: &Value, path: &str) -> Result<Message, Failure> {
    let fields = Fields::of(value, path)?;
    fields.required("role")?;
    let role = match fields.text("role")?.unwrap_or_default() {
        // The newer name for the same thing.
        "developer" => "system",
        role @ ("system" | "user" | "assistant" | "tool") => role,
        _ => {
            let message = format!("{path}.role must be system, developer, user, assistant or tool");
            return Err(fields.refuse("role", message));
        }
    };
    let content = match fields.get("content") {
        Some(Value::Array(parts)) => parts_text(parts, &fields.path("content"))?,
        // An assistant message that only calls tools has no content.
        None if role == "assistant" => String::new(),
        None => {
            fields.required("content")?;
            String::new()
        }
        Some(Value::String(_)) => fields.text("content")?.unwrap_or_default().to_owned(),
        Some(_) => {
            let path = fields.path("content");
            return Err(fields.refuse("content", format!("{path} must be a string or a list")));
        }
    };
    Ok(Message {
        role: role.to_owned(),
        content,
    })
}

/// Text of a list of content parts.
fn parts_text(parts: &[Value], path: &str) -> Result<String, Failure> {
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let fields = Fields::of(part, &path)?;
        fields.required("type")?;
        if fields.text("type")? != Some("text") {
            let mut failure = fields.refuse(
                "type",
                format!("{path}.type must be text: only text is understood"),
            );
            failure.code = "unsupported_content".into();
            return Err(failure);
        }
        fields.required("text")?;
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(fields.text("text")?.unwrap_or_default());
    }
    Ok(text)
}

#[cfg(test)]
#[path = "chat_request_tests.rs"]
mod tests;
