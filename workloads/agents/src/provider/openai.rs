//! OpenAI's chat completions: OpenAI, xAI, compatible servers and the platform's own.
//!
//! The wire types take everything as optional: real servers leave fields out, send empty strings
//! for `finish_reason` and empty objects for `usage`.

use futures::{Stream, StreamExt, stream};
use lotoai_contracts::v1::Sampling;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Event, Failure, Request, Turn, Usage,
    calls::{Calls, Piece},
};
use crate::{
    format::Format,
    functions::{self, Function, Functions},
    table::Kind,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
    error: Option<WireError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<WireCall>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCall {
    index: Option<u64>,
    id: Option<String>,
    function: Option<WireFunction>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireFunction {
    name: Option<String>,
    arguments: Option<String>,
}

impl From<WireCall> for Piece {
    fn from(call: WireCall) -> Self {
        let function = call.function.unwrap_or_default();
        Self {
            place: call.index.unwrap_or_default(),
            id: call.id.unwrap_or_default(),
            name: function.name.unwrap_or_default(),
            arguments: function.arguments.unwrap_or_default(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireError {
    message: Option<String>,
    r#type: Option<String>,
}

/// The request's body.
pub(super) fn body(kind: Kind, request: &Request) -> Value {
    let messages: Vec<Value> = request.turns.iter().map(message).collect();
    let mut body = json!({
        "model": request.model,
        "messages": messages,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    if let Some(max_tokens) = request.max_tokens {
        // OpenAI's newer models refuse the old name; others only know the old one.
        let field = if kind == Kind::OpenAI {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        body[field] = max_tokens.into();
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = temperature.into();
    }
    sample(&mut body, &request.sampling);
    if let Some(functions) = &request.functions {
        declare(&mut body, functions);
    }
    if let Some(format) = &request.format {
        body["response_format"] = response_format(format);
    }
    body
}

fn sample(body: &mut Value, sampling: &Sampling) {
    if !sampling.stop.is_empty() {
        body["stop"] = json!(sampling.stop);
    }
    if let Some(seed) = sampling.seed {
        body["seed"] = seed.into();
    }
    for (field, number) in [
        ("top_p", sampling.top_p),
        ("presence_penalty", sampling.presence_penalty),
        ("frequency_penalty", sampling.frequency_penalty),
    ] {
        if let Some(number) = number {
            body[field] = number.into();
        }
    }
    for (field, word) in [
        ("reasoning_effort", &sampling.reasoning_effort),
        ("verbosity", &sampling.verbosity),
    ] {
        if !word.is_empty() {
            body[field] = word.as_str().into();
        }
    }
}

fn message(turn: &Turn) -> Value {
    let mut message = json!({"role": turn.speaker, "content": turn.text});
    if !turn.calls.is_empty() {
        let calls = turn.calls.iter().map(|call| {
            json!({
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            })
        });
        message["tool_calls"] = calls.collect();
        if turn.text.is_empty() {
            // Some servers take an empty text for an answer that is over.
            message["content"] = Value::Null;
        }
    }
    if let Some(id) = &turn.answers {
        message["tool_call_id"] = id.as_str().into();
    }
    message
}

fn declare(body: &mut Value, functions: &Functions) {
    body["tools"] = functions.declared.iter().map(tool).collect();
    let choice = match &functions.choice {
        functions::Choice::Unspecified => Value::Null,
        functions::Choice::Auto => "auto".into(),
        functions::Choice::None => "none".into(),
        functions::Choice::Required => "required".into(),
        functions::Choice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    };
    if !choice.is_null() {
        body["tool_choice"] = choice;
    }
    if let Some(parallel) = functions.parallel {
        body["parallel_tool_calls"] = parallel.into();
    }
}

fn response_format(format: &Format) -> Value {
    let Format::Schema(schema) = format else {
        return json!({"type": "json_object"});
    };
    let mut described = json!({"name": schema.name, "schema": schema.schema.value()});
    if !schema.description.is_empty() {
        described["description"] = schema.description.as_str().into();
    }
    if let Some(strict) = schema.strict {
        described["strict"] = strict.into();
    }
    json!({"type": "json_schema", "json_schema": described})
}

fn tool(function: &Function) -> Value {
    let mut described = json!({"name": function.name});
    if !function.description.is_empty() {
        described["description"] = function.description.as_str().into();
    }
    if let Some(parameters) = &function.parameters {
        described["parameters"] = parameters.value();
    }
    if let Some(strict) = function.strict {
        described["strict"] = strict.into();
    }
    json!({"type": "function", "function": described})
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
    let data = data.trim();
    if data.is_empty() {
        return Vec::new();
    }
    if data == "[DONE]" {
        return vec![Ok(Event::End)];
    }
    let Ok(chunk) = serde_json::from_str::<Chunk>(data) else {
        return vec![Err(Failure::broken(
            provider,
            "sent an event that is not valid",
        ))];
    };
    if let Some(error) = chunk.error {
        let failure =
            Failure::in_stream(provider, error.r#type.as_deref(), error.message.as_deref());
        return vec![Err(failure)];
    }
    let mut events = Vec::new();
    if let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() {
        let delta = choice.delta.unwrap_or_default();
        for text in [delta.content, delta.refusal].into_iter().flatten() {
            if !text.is_empty() {
                events.push(Ok(Event::Text(text)));
            }
        }
        let pieces = delta.tool_calls.unwrap_or_default().into_iter();
        events.extend(pieces.filter_map(|call| calls.take(provider, call.into())));
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            events.push(Ok(Event::Finish(reason)));
        }
    }
    if let Some(usage) = chunk.usage {
        events.push(Ok(Event::Usage(Usage {
            input: usage.prompt_tokens,
            output: usage.completion_tokens,
        })));
    }
    if events.is_empty() {
        events.push(Ok(Event::Alive));
    }
    events
}
