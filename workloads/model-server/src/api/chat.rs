//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as FromState;
use axum::response::{IntoResponse, Response};
use lotoai_kit::http_error::ApiError;
use lotoai_kit::json::Limited;
use lotoai_kit::stops::{MAX_STOP_BYTES, MAX_STOPS};
use serde::Deserialize;
use serde_json::{Value, json};

use super::State;
use super::error::{from_engine, invalid, unknown_model};
use super::stream;
use crate::engine::prompt::{Message, Role};
use crate::engine::{CHAT_MODEL, ChatEvent, ChatJob, EngineError, FinishReason};

/// Messages of one request.
const MAX_MESSAGES: usize = 256;
/// Tokens of an answer unless the request says otherwise, and the most it gets. The request's
/// number is an upper bound, so a larger one is no fault: the same request may go to larger models.
const DEFAULT_TOKENS: usize = 256;
const MAX_TOKENS: usize = 1024;
/// Used when the request has no seed: the same question gets the same answer.
const SEED: u32 = 42;

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    model: String,
    messages: Vec<RequestMessage>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    #[serde(alias = "max_completion_tokens")]
    max_tokens: Option<usize>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    seed: Option<i64>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    stop: Option<Stop>,
    // What we cannot do and will not pretend to.
    n: Option<u32>,
    tools: Option<Vec<Value>>,
    response_format: Option<ResponseFormat>,
    logprobs: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct RequestMessage {
    role: RequestRole,
    content: Option<Content>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RequestRole {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "content must be a string or an array of text parts"
)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    r#type: String,
    text: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "stop must be a string or an array of strings")]
enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct ResponseFormat {
    r#type: String,
}

/// How the answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    Stream { include_usage: bool },
}

impl Request {
    fn job(self) -> Result<(ChatJob, Delivery), ApiError> {
        if self.model != CHAT_MODEL {
            return Err(unknown_model(&self.model, CHAT_MODEL));
        }
        self.refuse_unsupported()?;
        let max_tokens = self.max_tokens.unwrap_or(DEFAULT_TOKENS);
        if max_tokens == 0 {
            return Err(invalid("max_tokens", "max_tokens is 0; send 1 or more"));
        }
        let temperature = in_range("temperature", self.temperature, 0.0, 2.0)?.unwrap_or(0.0);
        let top_p = in_range("top_p", self.top_p, 0.0, 1.0)?.unwrap_or(1.0);
        let penalty =
            |field, value| in_range(field, value, -2.0, 2.0).map(Option::unwrap_or_default);
        let presence_penalty = penalty("presence_penalty", self.presence_penalty)?;
        let frequency_penalty = penalty("frequency_penalty", self.frequency_penalty)?;
        let include_usage = self.stream_options.unwrap_or_default().include_usage;
        let delivery = if self.stream {
            Delivery::Stream { include_usage }
        } else {
            Delivery::Whole
        };
        let job = ChatJob {
            messages: messages(self.messages)?,
            max_tokens: max_tokens.min(MAX_TOKENS),
            temperature,
            top_p,
            // A seed only has to be repeatable: its low bits will do.
            seed: self.seed.map_or(SEED, |seed| seed as u32),
            presence_penalty,
            frequency_penalty,
            stop: stops(self.stop)?,
        };
        Ok((job, delivery))
    }

    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        let refuse = |field: &str| {
            Err(invalid(
                field,
                format!("this model cannot do what {field} asks for; leave it out"),
            ))
        };
        if self.n.is_some_and(|n| n != 1) {
            return refuse("n");
        }
        if self.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
            return refuse("tools");
        }
        if self
            .response_format
            .as_ref()
            .is_some_and(|format| format.r#type != "text")
        {
            return refuse("response_format");
        }
        if self.logprobs == Some(true) {
            return refuse("logprobs");
        }
        Ok(())
    }
}

fn in_range(field: &str, value: Option<f32>, min: f32, max: f32) -> Result<Option<f32>, ApiError> {
    match value {
        Some(value) if !(min..=max).contains(&value) => Err(invalid(
            field,
            format!("{field} is {value}; send {min} to {max}"),
        )),
        value => Ok(value),
    }
}

fn messages(messages: Vec<RequestMessage>) -> Result<Vec<Message>, ApiError> {
    if messages.is_empty() || messages.len() > MAX_MESSAGES {
        let message = format!("messages has {}; send 1 to {MAX_MESSAGES}", messages.len());
        return Err(invalid("messages", message));
    }
    messages
        .into_iter()
        .enumerate()
        .map(|(place, message)| one(place, message))
        .collect()
}

fn one(place: usize, message: RequestMessage) -> Result<Message, ApiError> {
    let role = match message.role {
        RequestRole::System | RequestRole::Developer => Role::System,
        RequestRole::User => Role::User,
        RequestRole::Assistant => Role::Assistant,
        RequestRole::Tool => Role::Tool,
    };
    let field = format!("messages[{place}].content");
    let content = match message.content {
        Some(Content::Text(text)) => text,
        Some(Content::Parts(parts)) => text_of(&field, parts)?,
        None => {
            let message = format!("{field} is missing; send a text");
            return Err(invalid(field, message));
        }
    };
    Ok(Message { role, content })
}

fn text_of(field: &str, parts: Vec<Part>) -> Result<String, ApiError> {
    let mut text = String::new();
    for (place, part) in parts.into_iter().enumerate() {
        match part.text {
            Some(more) if part.r#type == "text" => text.push_str(&more),
            _ => {
                let field = format!("{field}[{place}]");
                let message = format!(
                    "{field} has type {:?}; this model reads text only",
                    part.r#type
                );
                return Err(invalid(field, message));
            }
        }
    }
    Ok(text)
}

fn stops(stop: Option<Stop>) -> Result<Vec<String>, ApiError> {
    let stops = match stop {
        None => Vec::new(),
        Some(Stop::One(stop)) => vec![stop],
        Some(Stop::Many(stops)) => stops,
    };
    if stops.len() > MAX_STOPS {
        return Err(invalid(
            "stop",
            format!("stop has {}; send at most {MAX_STOPS}", stops.len()),
        ));
    }
    if stops
        .iter()
        .any(|stop| stop.is_empty() || stop.len() > MAX_STOP_BYTES)
    {
        let message = format!("a stop sequence must have 1 to {MAX_STOP_BYTES} bytes");
        return Err(invalid("stop", message));
    }
    Ok(stops)
}

/// The word that OpenAI's API has for the reason.
pub(super) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

/// Tokens read and written.
pub(super) fn usage(prompt: usize, completion: usize) -> Value {
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    })
}

pub(super) async fn create(
    FromState(state): FromState<Arc<State>>,
    Limited(request): Limited<Request>,
) -> Result<Response, ApiError> {
    let (job, delivery) = request.job()?;
    let mut events = state.chat.submit(job).map_err(from_engine)?;
    // Until here nothing was sent, so a failure can still have its own status.
    match events.recv().await {
        Some(ChatEvent::Failed(error)) => return Err(from_engine(error)),
        Some(_) => {}
        None => return Err(from_engine(EngineError::ThreadLost { model: CHAT_MODEL })),
    }
    match delivery {
        Delivery::Stream { include_usage } => Ok(stream::response(events, include_usage)),
        Delivery::Whole => whole(events).await,
    }
}

async fn whole(
    mut events: tokio::sync::mpsc::UnboundedReceiver<ChatEvent>,
) -> Result<Response, ApiError> {
    let mut content = String::new();
    loop {
        match events.recv().await {
            Some(ChatEvent::Started) => {}
            Some(ChatEvent::Delta(text)) => content.push_str(&text),
            Some(ChatEvent::Finished {
                reason,
                prompt_tokens,
                completion_tokens,
            }) => {
                let body = json!({
                    "id": stream::new_id(),
                    "object": "chat.completion",
                    "created": super::now(),
                    "model": CHAT_MODEL,
                    "choices": [{
                        "index": 0,
                        "message": { "role": "assistant", "content": content },
                        "finish_reason": finish_reason(reason),
                        "logprobs": null,
                    }],
                    "usage": usage(prompt_tokens, completion_tokens),
                });
                return Ok(Json(body).into_response());
            }
            Some(ChatEvent::Failed(error)) => return Err(from_engine(error)),
            None => return Err(from_engine(EngineError::ThreadLost { model: CHAT_MODEL })),
        }
    }
}

#[cfg(test)]
mod tests;
