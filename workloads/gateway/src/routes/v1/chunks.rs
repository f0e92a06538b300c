//! An answer in the words of chat completions, whole and in chunks.

use std::collections::VecDeque;

use axum::response::sse::Event;
use serde_json::{Value, json};
use uuid::Uuid;

use super::sse::Writer;
use crate::admission::Farewell;
use crate::domain::run::Run;
use crate::domain::transcript::{CallPiece, Step, Transcript};
use crate::failure::Failure;
use crate::store::StoredCall;

/// The name of an event that asks for consent.
const APPROVAL_REQUEST: &str = "approval_request";
/// The data of the event after which nothing follows.
pub(super) const DONE: &str = "[DONE]";

/// The message of a whole answer.
pub(super) fn message(text: &str, calls: &[StoredCall]) -> Value {
    let mut message = json!({ "role": "assistant", "content": text, "refusal": null });
    if !calls.is_empty() {
        message["tool_calls"] = calls.iter().map(whole_call).collect();
        if text.is_empty() {
            message["content"] = Value::Null;
        }
    }
    message
}

fn whole_call(call: &StoredCall) -> Value {
    let function = json!({ "name": call.name, "arguments": call.arguments });
    json!({ "id": call.id, "type": "function", "function": function })
}

/// The data of the chunks of one answer, and what all of them say.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    pub(super) run_id: Uuid,
    /// Model as named by the caller.
    pub(super) model: String,
    /// Unix seconds.
    pub(super) created: u64,
    /// Whether the answer ends with a usage chunk.
    pub(super) include_usage: bool,
    /// Whether what the answer asks consent for is also told in events of its own. Clients of OpenAI
    /// take every event for a chunk.
    pub(super) tells_approvals: bool,
}

impl Chunks {
    /// The first chunk, with a `lotoai` object.
    pub(super) fn first(&self, lotoai: Value) -> String {
        let mut chunk = self.chunk(&json!({ "role": "assistant", "content": "" }), None);
        chunk["lotoai"] = lotoai;
        chunk.to_string()
    }

    /// A chunk with text.
    pub(super) fn text(&self, text: &str) -> String {
        self.chunk(&json!({ "content": text }), None).to_string()
    }

    /// A chunk with more of a call.
    fn piece(&self, transcript: &Transcript, piece: &CallPiece) -> String {
        let delta = json!({ "tool_calls": [call(transcript, piece)] });
        self.chunk(&delta, None).to_string()
    }

    /// A chunk with a whole call, the one of this number.
    pub(super) fn call(&self, index: usize, call: &StoredCall) -> String {
        let mut call = whole_call(call);
        call["index"] = index.into();
        let delta = json!({ "tool_calls": [call] });
        self.chunk(&delta, None).to_string()
    }

    /// What the answer asks consent for, as events of that name, where they are told.
    pub(super) fn approvals(&self, lotoai: &Value) -> Vec<Event> {
        let asked = lotoai["approvals"].as_array();
        let asked = asked.filter(|_| self.tells_approvals);
        let told = |it: &Value| {
            Event::default()
                .event(APPROVAL_REQUEST)
                .data(it.to_string())
        };
        asked.into_iter().flatten().map(told).collect()
    }

    /// What an answer ends with: the last chunk, the usage where it is wanted, and [`DONE`].
    pub(super) fn last(&self, lotoai: Value, reason: &str, usage: Value) -> Vec<String> {
        let mut last = self.chunk(&json!({}), Some(reason));
        last["lotoai"] = lotoai;
        let mut events = vec![last.to_string()];
        if self.include_usage {
            let mut chunk = self.chunk(&json!({}), None);
            chunk["choices"] = json!([]);
            chunk["usage"] = usage;
            events.push(chunk.to_string());
        }
        events.push(DONE.to_owned());
        events
    }

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Value {
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", self.run_id),
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

/// Writes the chunks of a run as it goes on.
pub(super) struct ChunkWriter {
    chunks: Chunks,
    begun: bool,
}

impl ChunkWriter {
    pub(super) const fn new(chunks: Chunks) -> Self {
        Self {
            chunks,
            begun: false,
        }
    }
}

impl Writer for ChunkWriter {
    /// The first chunk tells the decision, and there is none yet.
    fn begin(&mut self, _run: &Run, _queue: &mut VecDeque<Event>) {}

    fn step(&mut self, run: &Run, step: Step, queue: &mut VecDeque<Event>) {
        let (chunks, transcript) = (&self.chunks, &run.transcript);
        if !self.begun {
            self.begun = true;
            queue.push_back(event(chunks.first(run.lotoai())));
        }
        match step {
            Step::Quiet | Step::Decided => {}
            Step::Text(text) => queue.push_back(event(chunks.text(&text))),
            Step::Call(piece) => queue.push_back(event(chunks.piece(transcript, &piece))),
            Step::Finished => {
                let (reason, usage) = (transcript.finish_reason(), transcript.usage());
                let lotoai = run.lotoai();
                queue.extend(chunks.approvals(&lotoai));
                let last = chunks.last(lotoai, reason, usage);
                queue.extend(last.into_iter().map(event));
            }
        }
    }

    fn fail(&mut self, _run: &Run, failure: &Failure, queue: &mut VecDeque<Event>) {
        queue.extend(failed(failure));
    }

    fn farewell(&self) -> Farewell {
        farewell()
    }
}

/// What an answer ends with that was ended over the head of who tells it.
pub(super) fn farewell() -> Farewell {
    Farewell::new(|failure| format!("data: {}\n\ndata: {DONE}\n\n", failure.openai()))
}

/// What an answer ends with that failed.
pub(super) fn failed(failure: &Failure) -> [Event; 2] {
    [failure.openai().to_string(), DONE.to_owned()].map(event)
}

/// An event without an id.
pub(super) fn event(data: String) -> Event {
    Event::default().data(data)
}
