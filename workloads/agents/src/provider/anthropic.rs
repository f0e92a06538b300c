//! Anthropic's messages API.

use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Event, Failure, Request, Speaker, Usage};

/// The version of the API that this adapter speaks.
pub(super) const VERSION: &str = "2023-06-01";
/// The API requires a bound; this one is used when the caller gives none.
const DEFAULT_MAX_TOKENS: u32 = 4_096;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    r#type: Option<String>,
    message: Option<WireMessage>,
    delta: Option<WireDelta>,
    usage: Option<WireUsage>,
    error: Option<WireError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireMessage {
    usage: Option<WireUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireDelta {
    text: Option<String>,
    stop_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireError {
    r#type: Option<String>,
    message: Option<String>,
}

impl WireUsage {
    /// Cached tokens are read too: the caller's count is of all of them.
    fn usage(&self) -> Usage {
        let parts = [
            self.input_tokens,
            self.cache_creation_input_tokens,
            self.cache_read_input_tokens,
        ];
        let input = parts.iter().flatten().copied().reduce(u64::saturating_add);
        Usage {
            input,
            output: self.output_tokens,
        }
    }
}

/// The request's body.
pub(super) fn body(request: &Request) -> Value {
    let of = |system: bool| {
        request
            .turns
            .iter()
            .filter(move |turn| (turn.speaker == Speaker::System) == system)
    };
    let system: Vec<&str> = of(true).map(|turn| turn.text.as_str()).collect();
    let messages: Vec<Value> = of(false)
        .map(|turn| json!({"role": turn.speaker, "content": turn.text}))
        .collect();
    let mut body = json!({
        "model": request.model,
        "messages": messages,
        "max_tokens": request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
        "stream": true,
    });
    if !system.is_empty() {
        body["system"] = system.join("\n\n").into();
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = temperature.into();
    }
    body
}

/// Turns the stream's data into events.
pub(super) fn events(
    provider: String,
    data: impl Stream<Item = Result<String, Failure>> + Send + 'static,
) -> impl Stream<Item = Result<Event, Failure>> + Send + 'static {
    data.flat_map(move |item| {
        stream::iter(match item {
            Ok(data) => decode(&provider, &data),
            Err(failure) => vec![Err(failure)],
        })
    })
}

fn decode(provider: &str, data: &str) -> Vec<Result<Event, Failure>> {
    if data.trim().is_empty() {
        return Vec::new();
    }
    let Ok(wire) = serde_json::from_str::<Wire>(data) else {
        return vec![Err(Failure::broken(
            provider,
            "sent an event that is not valid",
        ))];
    };
    let delta = wire.delta.unwrap_or_default();
    match wire.r#type.as_deref() {
        Some("message_start") => {
            let usage = wire
                .message
                .and_then(|message| message.usage)
                .unwrap_or_default();
            vec![Ok(Event::Usage(usage.usage()))]
        }
        Some("content_block_delta") => match delta.text.filter(|text| !text.is_empty()) {
            Some(text) => vec![Ok(Event::Text(text))],
            None => Vec::new(),
        },
        Some("message_delta") => {
            let usage = wire.usage.unwrap_or_default();
            let mut events = vec![Ok(Event::Usage(Usage {
                input: None,
                output: usage.output_tokens,
            }))];
            if let Some(reason) = delta.stop_reason.filter(|reason| !reason.is_empty()) {
                events.push(Ok(Event::Finish(finish_reason(reason))));
            }
            events
        }
        Some("message_stop") => vec![Ok(Event::End)],
        Some("error") => {
            let error = wire.error.unwrap_or_default();
            let failure =
                Failure::in_stream(provider, error.r#type.as_deref(), error.message.as_deref());
            vec![Err(failure)]
        }
        // `ping`, block starts and stops, and whatever comes to exist later.
        _ => Vec::new(),
    }
}

/// The reason in OpenAI's words; one that is not known is kept as it is.
fn finish_reason(reason: String) -> String {
    match reason.as_str() {
        "end_turn" | "stop_sequence" => "stop".to_owned(),
        "max_tokens" | "model_context_window_exceeded" => "length".to_owned(),
        "refusal" => "content_filter".to_owned(),
        _ => reason,
    }
}
