//! Anthropic's messages API.

use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Event, Failure, Request, Speaker, Turn, Usage,
    calls::{Calls, Piece},
};
use crate::functions::{Call, Choice, Functions};
use crate::schema::SchemaText;

/// The version of the API that this adapter speaks.
pub(super) const VERSION: &str = "2023-06-01";
/// The API requires a bound; this one is used when the caller gives none.
const DEFAULT_MAX_TOKENS: u32 = 4_096;
/// What the API does when it is told nothing.
const DEFAULT_TEMPERATURE: f32 = 1.0;
const DEFAULT_TOP_P: f64 = 1.0;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    r#type: Option<String>,
    /// Number of the block, where the event is of one.
    index: Option<u64>,
    content_block: Option<WireBlock>,
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
struct WireBlock {
    r#type: Option<String>,
    id: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireDelta {
    text: Option<String>,
    partial_json: Option<String>,
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
    let system = request.turns.iter();
    let system = system.filter(|turn| turn.speaker == Speaker::System);
    let system: Vec<&str> = system.map(|turn| turn.text.as_str()).collect();
    let mut body = json!({
        "model": request.model,
        "messages": messages(&request.turns),
        "max_tokens": request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
        "stream": true,
    });
    if !system.is_empty() {
        body["system"] = system.join("\n\n").into();
    }
    // Their own defaults are left out: newer models take only one of the two.
    if let Some(temperature) = request.temperature.filter(|it| *it != DEFAULT_TEMPERATURE) {
        body["temperature"] = temperature.into();
    }
    if let Some(top_p) = request.sampling.top_p.filter(|it| *it != DEFAULT_TOP_P) {
        body["top_p"] = top_p.into();
    }
    // The API refuses sequences of white space alone.
    let stops = request.sampling.stop.iter();
    let stops: Vec<&String> = stops.filter(|it| !it.trim().is_empty()).collect();
    if !stops.is_empty() {
        body["stop_sequences"] = json!(stops);
    }
    if let Some(functions) = &request.functions {
        declare(&mut body, functions);
    }
    body
}

/// All turns but instructions. Results of functions that were called together stand in one message.
fn messages(turns: &[Turn]) -> Vec<Value> {
    let mut messages: Vec<Value> = Vec::new();
    for turn in turns {
        match (turn.speaker, &turn.answers) {
            (Speaker::System, _) => {}
            (Speaker::Tool, Some(id)) => {
                let block = json!({"type": "tool_result", "tool_use_id": id, "content": turn.text});
                let last = messages.last_mut().filter(|last| last["role"] == "user");
                match last.and_then(|last| last["content"].as_array_mut()) {
                    Some(blocks) => blocks.push(block),
                    None => messages.push(json!({"role": "user", "content": [block]})),
                }
            }
            // A text that the model is told.
            (Speaker::Tool, None) => messages.push(json!({"role": "user", "content": turn.text})),
            (Speaker::Assistant, _) if !turn.calls.is_empty() => {
                let text =
                    (!turn.text.is_empty()).then(|| json!({"type": "text", "text": turn.text}));
                let blocks: Vec<Value> = text
                    .into_iter()
                    .chain(turn.calls.iter().map(tool_use))
                    .collect();
                messages.push(json!({"role": "assistant", "content": blocks}));
            }
            (Speaker::User | Speaker::Assistant, _) => {
                messages.push(json!({"role": turn.speaker, "content": turn.text}));
            }
        }
    }
    messages
}

fn tool_use(call: &Call) -> Value {
    // The API takes objects only; what a model wrote wrongly stays to be seen.
    let input: Map<String, Value> = serde_json::from_str(&call.arguments)
        .unwrap_or_else(|_| Map::from_iter([("text".to_owned(), call.arguments.as_str().into())]));
    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
}

fn declare(body: &mut Value, functions: &Functions) {
    let tools = functions.declared.iter().map(|function| {
        let schema = function.parameters.as_ref().map_or_else(
            || json!({"type": "object", "properties": {}}),
            SchemaText::value,
        );
        let mut tool = json!({"name": function.name, "input_schema": schema});
        if !function.description.is_empty() {
            tool["description"] = function.description.as_str().into();
        }
        tool
    });
    body["tools"] = tools.collect();
    let mut choice = match &functions.choice {
        Choice::Unspecified | Choice::Auto => json!({"type": "auto"}),
        Choice::None => json!({"type": "none"}),
        Choice::Required => json!({"type": "any"}),
        Choice::Named(name) => json!({"type": "tool", "name": name}),
    };
    if functions.parallel == Some(false) && functions.choice != Choice::None {
        choice["disable_parallel_tool_use"] = true.into();
    }
    body["tool_choice"] = choice;
}

/// Turns the stream's data into events.
pub(super) fn events(
    provider: String,
    data: impl Stream<Item = Result<String, Failure>> + Send + 'static,
) -> impl Stream<Item = Result<Event, Failure>> + Send + 'static {
    let mut calls = Calls::default();
    data.flat_map(move |item| {
        stream::iter(match item {
            Ok(data) => decode(&provider, &data, &mut calls),
            Err(failure) => vec![Err(failure)],
        })
    })
}

fn decode(provider: &str, data: &str, calls: &mut Calls) -> Vec<Result<Event, Failure>> {
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
    let place = wire.index.unwrap_or_default();
    match wire.r#type.as_deref() {
        Some("message_start") => {
            let usage = wire
                .message
                .and_then(|message| message.usage)
                .unwrap_or_default();
            vec![Ok(Event::Usage(usage.usage()))]
        }
        Some("content_block_start") => match wire.content_block {
            Some(block) if block.r#type.as_deref() == Some("tool_use") => {
                let begun = Piece {
                    place,
                    id: block.id.unwrap_or_default(),
                    name: block.name.unwrap_or_default(),
                    arguments: String::new(),
                };
                calls.take(provider, begun).into_iter().collect()
            }
            _ => Vec::new(),
        },
        Some("content_block_delta") => {
            let text = delta.text.filter(|text| !text.is_empty());
            let piece = delta.partial_json.and_then(|arguments| {
                let piece = Piece {
                    place,
                    arguments,
                    ..Piece::default()
                };
                calls.take(provider, piece)
            });
            let text = text.map(|text| Ok(Event::Text(text)));
            if text.is_none() && piece.is_none() {
                return vec![Ok(Event::Alive)];
            }
            text.into_iter().chain(piece).collect()
        }
        Some("content_block_stop") => calls.end(place).map(Ok).into_iter().collect(),
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
        // `ping`, and whatever comes to exist later.
        _ => vec![Ok(Event::Alive)],
    }
}

/// The reason in OpenAI's words; one that is not known is kept as it is.
fn finish_reason(reason: String) -> String {
    match reason.as_str() {
        "end_turn" | "stop_sequence" => "stop".to_owned(),
        "max_tokens" | "model_context_window_exceeded" => "length".to_owned(),
        "refusal" => "content_filter".to_owned(),
        "tool_use" => "tool_calls".to_owned(),
        _ => reason,
    }
}
