//! An answer in the words of chat completions, whole and in chunks.

use std::collections::VecDeque;

use axum::response::sse::Event;
use serde_json::{Value, json};

use super::sse::Writer;
use crate::domain::run::Run;
use crate::domain::transcript::{CallPiece, Step, Transcript};
use crate::failure::Failure;

const DONE: &str = "[DONE]";

/// The message of a whole answer.
pub(super) fn message(transcript: &Transcript) -> Value {
    let mut message = json!({
        "role": "assistant", "content": transcript.text, "refusal": null,
    });
    if !transcript.function_calls.is_empty() {
        let calls = transcript.function_calls.iter();
        message["tool_calls"] = calls
            .map(|call| {
                let function = json!({ "name": call.name, "arguments": call.arguments });
                json!({ "id": call.id, "type": "function", "function": function })
            })
            .collect();
        if transcript.text.is_empty() {
            message["content"] = Value::Null;
        }
    }
    message
}

/// Writes `chat.completion.chunk`s.
pub(super) struct Chunks {
    model: String,
    include_usage: bool,
    created: u64,
    begun: bool,
}

impl Chunks {
    pub(super) fn new(model: String, include_usage: bool) -> Self {
        Self {
            model,
            include_usage,
            created: crate::identity::token::now(),
            begun: false,
        }
    }

    fn chunk(&self, run: &Run, delta: &Value, finish_reason: Option<&str>) -> Value {
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", run.id),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": null,
            }],
        });
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn end(&self, run: &Run, queue: &mut VecDeque<Event>) {
        let mut last = self.chunk(run, &json!({}), Some(run.transcript.finish_reason()));
        last["lotoai"] = run.transcript.lotoai(run.id, run.conversation_id);
        queue.push_back(data(&last));
        if self.include_usage {
            let mut usage = self.chunk(run, &json!({}), None);
            usage["choices"] = json!([]);
            usage["usage"] = run.transcript.usage();
            queue.push_back(data(&usage));
        }
        queue.push_back(Event::default().data(DONE));
    }
}

impl Writer for Chunks {
    /// The first chunk tells the decision, and there is none yet.
    fn begin(&mut self, _run: &Run, _queue: &mut VecDeque<Event>) {}

    fn step(&mut self, run: &Run, step: Step, queue: &mut VecDeque<Event>) {
        if !self.begun {
            self.begun = true;
            let mut first = self.chunk(run, &json!({ "role": "assistant", "content": "" }), None);
            first["lotoai"] = run.transcript.lotoai(run.id, run.conversation_id);
            queue.push_back(data(&first));
        }
        match step {
            Step::Quiet | Step::Decided => {}
            Step::Text(text) => {
                queue.push_back(data(&self.chunk(run, &json!({ "content": text }), None)));
            }
            Step::Call(piece) => {
                let delta = json!({ "tool_calls": [call(&run.transcript, &piece)] });
                queue.push_back(data(&self.chunk(run, &delta, None)));
            }
            Step::Finished => self.end(run, queue),
        }
    }

    fn fail(&mut self, _run: &Run, failure: &Failure, queue: &mut VecDeque<Event>) {
        queue.push_back(data(&failure.openai()));
        queue.push_back(Event::default().data(DONE));
    }
}

/// A piece of a call; the first one says which function it is.
fn call(transcript: &Transcript, piece: &CallPiece) -> Value {
    let mut delta = json!({ "index": piece.index, "function": { "arguments": piece.arguments } });
    if piece.begins
        && let Some(call) = transcript.function_calls.get(piece.index)
    {
        delta["id"] = call.id.as_str().into();
        delta["type"] = "function".into();
        delta["function"]["name"] = call.name.as_str().into();
    }
    delta
}

fn data(value: &Value) -> Event {
    Event::default().data(value.to_string())
}
