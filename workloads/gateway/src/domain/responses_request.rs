//! The request of `POST /v1/responses`, checked: the same question as a chat's, in other words.

use lotoai_contracts::v1::{AnswerFormat, Message};
use lotoai_policy::probe;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::chat_request::{self, ChatRequest, MAX_MESSAGES, MAX_TOKENS};
use super::content;
use super::fields::Fields;
use super::format;
use super::functions::{self, Dialect};
use super::{json_body, refused, sampling};
use crate::failure::Failure;

/// The parameters of OpenAI's API and no others; a name that OpenAI does not have is a mistake.
pub const PARAMETERS: [&str; 34] = [
    "access_programs",
    "background",
    "background_options",
    "context_management",
    "conversation",
    "image",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Those that are taken without effect, since real clients send them: they are about who asks, how
/// soon, what is kept meanwhile, and tools that there are none of. `truncation` is told as it is, and
/// of `stream_options` only what chat completions have is refused.
pub const PASSED_OVER: [&str; 11] = [
    "access_programs",
    "background_options",
    "max_tool_calls",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "stream_options",
    "truncation",
    "user",
];

/// What a response repeats of its request, where the request says it.
const REPEATED: [&str; 16] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
];

/// What the id of a response begins with; the rest is that of its run.
const ID_PREFIX: &str = "resp_";
/// Most pairs of `metadata`, and the longest names and values, in characters.
const MAX_METADATA: usize = 16;
const MAX_METADATA_NAME: usize = 64;
const MAX_METADATA_VALUE: usize = 512;

/// The id of the response of a run.
pub fn id_of(run_id: Uuid) -> String {
    format!("{ID_PREFIX}{}", run_id.simple())
}

/// The run of the response of that id; `None` where no response has such an id.
pub fn run_of(id: &str) -> Option<Uuid> {
    Uuid::parse_str(id.strip_prefix(ID_PREFIX)?).ok()
}

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponsesRequest {
    /// What is asked.
    pub question: ChatRequest,
    /// The run whose answer it follows.
    pub previous: Option<Uuid>,
}

impl ResponsesRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 that names the field, or says where the JSON breaks; `unsupported_parameter` for what
    /// OpenAI's API has and this one has not.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let value = json_body::read(body)?;
        let fields = Fields::of(&value, "")?;
        fields.only(&PARAMETERS)?;
        refused::check(&fields, refused::RESPONSES)?;
        let model = chat_request::model(&fields)?;
        let conversation_id = conversation(&fields)?;
        let previous = previous(&fields)?;
        if conversation_id.is_some() && previous.is_some() {
            let message = "previous_response_id and conversation both say what is gone on with; \
                           send one of them";
            return Err(fields.refuse("previous_response_id", message));
        }
        metadata(&fields)?;
        let store = fields.flag("store")?.unwrap_or(true) && model != probe::MODEL;
        let background = background(&fields, store)?;
        let messages = messages(&fields, conversation_id.or(previous).is_some())?;
        let temperature = fields.number("temperature", 0.0..=2.0)?;
        let mut question = ChatRequest {
            messages,
            functions: functions::of_request(&fields, Dialect::Flat)?,
            format: text_format(&fields)?,
            stream: fields.flag("stream")?.unwrap_or(false),
            include_usage: true,
            // It is written by itself, and whoever asks for it reads it.
            resumable: background,
            repeated: None,
            max_tokens: fields.integer("max_output_tokens", 1..=MAX_TOKENS)?,
            temperature: temperature.map(|value| value as f32),
            sampling: sampling::of_response(&fields)?,
            store,
            conversation_id,
            model,
        };
        question.repeated = Some(repeated(&fields, &question).to_string());
        Ok(Self { question, previous })
    }
}

/// Whether it is answered without anybody who waits.
///
/// # Errors
/// 400 where that is asked for and cannot be, or in the words of chat completions.
fn background(fields: &Fields<'_>, store: bool) -> Result<bool, Failure> {
    if chat_request::stream_option(fields, "resumable")? {
        let message = "stream_options.resumable belongs to chat completions: send background: true, \
                       whose events GET /v1/responses/{id}?stream=true tells again";
        return Err(Failure::unsupported("stream_options.resumable", message));
    }
    let background = fields.flag("background")?.unwrap_or(false);
    if background && !store {
        let message = "background needs a response that is stored, or nobody could look for it: \
                       leave store out";
        return Err(fields.refuse("background", message));
    }
    Ok(background)
}

fn text_format(fields: &Fields<'_>) -> Result<Option<AnswerFormat>, Failure> {
    let Some(text) = fields.get("text") else {
        return Ok(None);
    };
    format::of_request(&Fields::of(text, "text")?, "format", Dialect::Flat)
}

/// The conversation, given as its id or as an object with that.
fn conversation(fields: &Fields<'_>) -> Result<Option<Uuid>, Failure> {
    let id = match fields.get("conversation") {
        None => return Ok(None),
        Some(Value::String(id)) => Some(id.as_str()),
        Some(value) => Fields::of(value, "conversation")?.text("id")?,
    };
    let id = id.and_then(|id| Uuid::parse_str(id).ok());
    id.map(Some).ok_or_else(|| {
        fields.refuse(
            "conversation",
            "conversation must be the id of a stored conversation",
        )
    })
}

fn previous(fields: &Fields<'_>) -> Result<Option<Uuid>, Failure> {
    let Some(id) = fields.text("previous_response_id")? else {
        return Ok(None);
    };
    run_of(id).map(Some).ok_or_else(unknown_previous)
}

/// There is no such response, or it is somebody else's, or it failed, or it was not stored.
pub fn unknown_previous() -> Failure {
    let mut failure = Failure::new(
        axum::http::StatusCode::NOT_FOUND,
        "previous_response_not_found",
        "there is no stored response of that id to go on from; it must have ended well, and with \
         store: true",
    );
    failure.param = Some("previous_response_id".to_owned());
    failure
}

fn metadata(fields: &Fields<'_>) -> Result<(), Failure> {
    let Some(metadata) = fields.object("metadata")? else {
        return Ok(());
    };
    let short = |(name, value): (&String, &Value)| {
        let value = value.as_str();
        name.chars().count() <= MAX_METADATA_NAME
            && value.is_some_and(|value| value.chars().count() <= MAX_METADATA_VALUE)
    };
    if metadata.len() <= MAX_METADATA && metadata.iter().all(short) {
        return Ok(());
    }
    let message = format!(
        "metadata must hold at most {MAX_METADATA} strings of at most {MAX_METADATA_VALUE} \
         characters, under names of at most {MAX_METADATA_NAME}"
    );
    Err(fields.refuse("metadata", message))
}

/// Instructions, then the input.
fn messages(fields: &Fields<'_>, goes_on: bool) -> Result<Vec<Message>, Failure> {
    let said = |role: &str, content: &str| Message {
        role: role.to_owned(),
        content: content.to_owned(),
        ..Message::default()
    };
    let instructions = fields.text("instructions")?;
    let mut messages: Vec<Message> = instructions
        .map(|it| said("system", it))
        .into_iter()
        .collect();
    match fields.required("input")? {
        Value::String(_) => messages.push(said("user", fields.text("input")?.unwrap_or_default())),
        Value::Array(items) if (1..=MAX_MESSAGES).contains(&items.len()) => {
            for (index, item) in items.iter().enumerate() {
                add(item, &format!("input[{index}]"), &mut messages)?;
            }
        }
        _ => {
            let message = format!("input must be a string, or a list of 1 to {MAX_MESSAGES} items");
            return Err(fields.refuse("input", message));
        }
    }
    if !chat_request::asks(&messages, goes_on) {
        return Err(fields.refuse("input", "input must hold a user message with content"));
    }
    Ok(messages)
}

/// Adds an item. What an assistant said and the functions that it called stand in one message.
fn add(item: &Value, path: &str, messages: &mut Vec<Message>) -> Result<(), Failure> {
    let fields = Fields::of(item, path)?;
    let last = messages.last_mut().filter(|last| last.role == "assistant");
    match fields.text("type")?.unwrap_or("message") {
        "message" => {
            let message = message(&fields)?;
            match last {
                // Only a message that calls functions has no text.
                Some(last) if message.role == "assistant" && last.content.is_empty() => {
                    last.content = message.content;
                }
                _ => messages.push(message),
            }
        }
        "function_call" => {
            let call = functions::whole_call(functions::id(&fields, "call_id")?, &fields)?;
            match last {
                Some(last) => last.function_calls.push(call),
                None => messages.push(Message {
                    role: "assistant".to_owned(),
                    function_calls: vec![call],
                    ..Message::default()
                }),
            }
        }
        "function_call_output" => {
            let output = content::text(&fields, "output", &["input_text", "output_text"])?;
            if output.is_none() {
                fields.required("output")?;
            }
            messages.push(Message {
                role: "tool".to_owned(),
                content: output.unwrap_or_default(),
                function_call_id: functions::id(&fields, "call_id")?,
                ..Message::default()
            });
        }
        _ => {
            let message = format!(
                "{path}.type must be message, function_call or function_call_output: nothing else \
                 is understood"
            );
            let mut failure = fields.refuse("type", message);
            failure.code = "unsupported_content".into();
            return Err(failure);
        }
    }
    Ok(())
}

fn message(fields: &Fields<'_>) -> Result<Message, Failure> {
    fields.required("role")?;
    let role = match fields.text("role")?.unwrap_or_default() {
        // The newer name for the same thing.
        "developer" => "system",
        role @ ("system" | "user" | "assistant") => role,
        _ => {
            let path = fields.path("role");
            let message = format!("{path} must be system, developer, user or assistant");
            return Err(fields.refuse("role", message));
        }
    };
    fields.required("content")?;
    let kinds: &[&str] = if role == "assistant" {
        &["output_text", "input_text", "refusal"]
    } else {
        &["input_text"]
    };
    Ok(Message {
        role: role.to_owned(),
        content: content::text(fields, "content", kinds)?.unwrap_or_default(),
        ..Message::default()
    })
}

fn repeated(fields: &Fields<'_>, question: &ChatRequest) -> Value {
    let mut repeated = Map::new();
    let as_it_is = [
        ("background", json!(question.resumable)),
        ("metadata", json!({})),
        ("parallel_tool_calls", json!(true)),
        ("reasoning", json!({ "effort": null, "summary": null })),
        ("store", json!(question.store)),
        ("text", json!({ "format": { "type": "text" } })),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        // What does not fit the model loses its oldest turns.
        ("truncation", json!("auto")),
    ];
    for (name, value) in as_it_is {
        repeated.insert(name.to_owned(), value);
    }
    for name in REPEATED {
        match fields.get(name) {
            Some(value) => repeated.insert(name.to_owned(), value.clone()),
            None if repeated.contains_key(name) => None,
            None => repeated.insert(name.to_owned(), Value::Null),
        };
    }
    Value::Object(repeated)
}

#[cfg(test)]
#[path = "responses_request_tests.rs"]
mod tests;
