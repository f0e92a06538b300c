//! An answer in the words of chat completions, whole and in chunks.

use std::collections::VecDeque;

use axum::response::sse::Event;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::sse::Writer;
use crate::admission::Farewell;
use crate::domain::run::Run;
use crate::domain::transcript::{CallPiece, Step, Transcript};
use crate::failure::Failure;
use crate::store::StoredCall;
use crate::streams::tape::Last;

/// The name of an event that asks for consent.
const APPROVAL_REQUEST: &str = "approval_request";
/// The data of the event after which nothing follows.
pub(super) const DONE: &str = "[DONE]";

/// A whole answer.
#[derive(Serialize)]
pub(super) struct Completion<'a> {
    id: Id,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [WholeChoice<'a>; 1],
    usage: &'a Value,
    lotoai: &'a Value,
}

#[derive(Serialize)]
struct WholeChoice<'a> {
    index: u8,
    message: Message<'a>,
    finish_reason: &'a str,
    logprobs: (),
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    /// `null` where the answer is nothing but calls.
    content: Option<&'a str>,
    refusal: (),
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
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

/// One chunk.
#[derive(Serialize)]
struct Chunk<'a, D> {
    id: Id,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a, D>],
    /// `null` in all but the usage chunk, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lotoai: Option<Value>,
}

#[derive(Serialize)]
struct Choice<'a, D> {
    index: u8,
    delta: D,
    finish_reason: Option<&'a str>,
    logprobs: (),
}

/// What more there is of a text.
#[derive(Serialize)]
struct Text<'a> {
    content: &'a str,
}

impl<D: Serialize> Chunk<'_, D> {
    fn data(&self) -> String {
        // Its keys are texts, so that it always has a form in JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The identity of an answer, as clients see it.
struct Id(Uuid);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "chatcmpl-{}", self.0)
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Chunks {
    /// A whole answer with this text and these calls.
    pub(super) fn whole<'a>(
        &'a self,
        text: &'a str,
        calls: &[StoredCall],
        last: &'a Last,
    ) -> Completion<'a> {
        Completion {
            id: Id(self.run_id),
            object: "chat.completion",
            created: self.created,
            model: &self.model,
            choices: [WholeChoice {
                index: 0,
                message: Message {
                    role: "assistant",
                    content: Some(text).filter(|text| !text.is_empty() || calls.is_empty()),
                    refusal: (),
                    tool_calls: calls.iter().map(whole_call).collect(),
                },
                finish_reason: &last.reason,
                logprobs: (),
            }],
            usage: &last.usage,
            lotoai: &last.lotoai,
        }
    }

    /// The first chunk, with a `lotoai` object.
    pub(super) fn first(&self, lotoai: Value) -> String {
        let choices = [delta(json!({ "role": "assistant", "content": "" }))];
        let mut chunk = self.chunk(&choices);
        chunk.lotoai = Some(lotoai);
        chunk.data()
    }

    /// A chunk with text.
    pub(super) fn text(&self, text: &str) -> String {
        self.chunk(&[delta(Text { content: text })]).data()
    }

    /// A chunk with more of a call.
    fn piece(&self, transcript: &Transcript, piece: &CallPiece) -> String {
        let more = json!({ "tool_calls": [call(transcript, piece)] });
        self.chunk(&[delta(more)]).data()
    }

    /// A chunk with a whole call, the one of this number.
    pub(super) fn call(&self, index: usize, call: &StoredCall) -> String {
        let mut call = whole_call(call);
        call["index"] = index.into();
        self.chunk(&[delta(json!({ "tool_calls": [call] }))]).data()
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
        let choices = [Choice {
            finish_reason: Some(reason),
            ..delta(json!({}))
        }];
        let mut last = self.chunk(&choices);
        last.lotoai = Some(lotoai);
        let mut events = vec![last.data()];
        if self.include_usage {
            let mut chunk = self.chunk::<Value>(&[]);
            chunk.usage = Some(usage);
            events.push(chunk.data());
        }
        events.push(DONE.to_owned());
        events
    }

    fn chunk<'a, D>(&'a self, choices: &'a [Choice<'a, D>]) -> Chunk<'a, D> {
        Chunk {
            id: Id(self.run_id),
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage: self.include_usage.then_some(Value::Null),
            lotoai: None,
        }
    }
}

/// The only choice of a chunk, with more to come.
const fn delta<'a, D>(delta: D) -> Choice<'a, D> {
    Choice {
        index: 0,
        delta,
        finish_reason: None,
        logprobs: (),
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
