//! The response object and the items of its output.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::domain::annotations;
use crate::domain::responses_request::id_of;
use crate::domain::transcript::{Step, Transcript};
use crate::failure::Failure;
use crate::identity::token::now;
use crate::store::{StoredCall, StoredResponse};

/// How far a response is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Status<'f> {
    /// It is being written.
    InProgress,
    /// It ended well.
    Completed,
    /// It was cut, for this reason.
    Incomplete(&'static str),
    /// It broke off.
    Failed(&'f Failure),
    /// Who asked did not wait for it.
    Cancelled,
}

impl Status<'_> {
    /// Of an answer that has its last event.
    pub(super) fn of_end(transcript: &Transcript) -> Self {
        match transcript.finish_reason() {
            "length" => Self::Incomplete("max_output_tokens"),
            "content_filter" => Self::Incomplete("content_filter"),
            _ => Self::Completed,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// As items have it, which do not fail.
    pub(super) fn of_items(self) -> &'static str {
        match self {
            Self::Failed(_) | Self::Cancelled => "incomplete",
            status => status.name(),
        }
    }
}

/// An item of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// The text.
    Message,
    /// The call of this number.
    Call(usize),
}

/// A response while its answer is written, and afterwards.
pub(super) struct Object {
    run_id: Uuid,
    /// Unix seconds; `None` while it is written.
    ended_at: Option<u64>,
    model: String,
    /// What is repeated of the request, as JSON: values take many times the memory of their text, and this
    /// is held for as long as the answer takes.
    repeated: String,
    /// In the order in which they began, which is their place in the output.
    items: Vec<Item>,
}

impl Object {
    pub(super) fn new(run_id: Uuid, model: String, repeated: String) -> Self {
        Self {
            run_id,
            ended_at: None,
            model,
            repeated,
            items: Vec::new(),
        }
    }

    /// One that is read from the database, whose answer `transcript` is.
    pub(super) fn of_stored(
        run_id: Uuid,
        stored: &StoredResponse,
        transcript: &Transcript,
    ) -> Self {
        let calls = 0..transcript.function_calls.len();
        let is_silent = transcript.finished.is_some() && calls.is_empty();
        let text = (is_silent || !transcript.text.is_empty()).then_some(Item::Message);
        Self {
            run_id,
            ended_at: u64::try_from(stored.ended_at).ok(),
            model: stored.model.clone(),
            repeated: stored.repeated.clone(),
            items: text.into_iter().chain(calls.map(Item::Call)).collect(),
        }
    }

    /// Takes notice of a step: the place of the item that it is of, and whether that begins with
    /// it. An answer that says nothing has an empty text.
    pub(super) fn note(&mut self, step: &Step) -> Option<(usize, bool)> {
        let item = match step {
            Step::Text(_) => Item::Message,
            Step::Call(piece) => Item::Call(piece.index),
            Step::Finished if self.items.is_empty() => Item::Message,
            Step::Finished | Step::Quiet | Step::Decided => return None,
        };
        match self.items.iter().position(|known| *known == item) {
            Some(place) => Some((place, false)),
            None => {
                self.items.push(item);
                Some((self.items.len() - 1, true))
            }
        }
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(super) fn item_id(&self, item: Item) -> String {
        match item {
            Item::Message => format!("msg_{}", self.run_id.simple()),
            Item::Call(index) => format!("fc_{}_{index}", self.run_id.simple()),
        }
    }

    /// An item as far as it is written; empty where it only begins.
    pub(super) fn item(&self, item: Item, transcript: &Transcript, status: Status<'_>) -> Value {
        let begins = status == Status::InProgress;
        match item {
            Item::Message => {
                let content = if begins {
                    json!([])
                } else {
                    json!([text(transcript)])
                };
                json!({
                    "type": "message",
                    "id": self.item_id(item),
                    "status": status.of_items(),
                    "role": "assistant",
                    "content": content,
                })
            }
            Item::Call(index) => {
                let none = StoredCall::default();
                let call = transcript.function_calls.get(index).unwrap_or(&none);
                json!({
                    "type": "function_call",
                    "id": self.item_id(item),
                    "status": status.of_items(),
                    "call_id": call.id,
                    "name": call.name,
                    "arguments": if begins { "" } else { call.arguments.as_str() },
                })
            }
        }
    }

    /// The whole response.
    pub(super) fn write(
        &self,
        transcript: &Transcript,
        conversation_id: Option<Uuid>,
        status: Status<'_>,
    ) -> Value {
        let output = match status {
            Status::InProgress => Vec::new(),
            _ => {
                let items = self.items.iter();
                items
                    .map(|item| self.item(*item, transcript, status))
                    .collect()
            }
        };
        let repeated: Map<String, Value> = serde_json::from_str(&self.repeated).unwrap_or_default();
        let mut response = Value::Object(repeated);
        response["id"] = id_of(self.run_id).into();
        response["object"] = "response".into();
        response["created_at"] = created_at(self.run_id).into();
        response["completed_at"] = match status {
            Status::Completed => self.ended_at.unwrap_or_else(now).into(),
            _ => Value::Null,
        };
        response["status"] = status.name().into();
        response["error"] = match status {
            Status::Failed(failure) => error(failure),
            _ => Value::Null,
        };
        response["incomplete_details"] = match status {
            Status::Incomplete(reason) => json!({ "reason": reason }),
            _ => Value::Null,
        };
        response["model"] = self.model.as_str().into();
        response["output"] = output.into();
        response["conversation"] = match conversation_id {
            Some(id) => json!({ "id": id }),
            None => Value::Null,
        };
        response["usage"] = usage(transcript);
        response["lotoai"] = transcript.lotoai(self.run_id, conversation_id);
        response
    }
}

/// Unix seconds, from the time that is in the id.
fn created_at(run_id: Uuid) -> u64 {
    run_id.get_timestamp().map_or(0, |time| time.to_unix().0)
}

/// The one part of a message.
pub(super) fn text(transcript: &Transcript) -> Value {
    part(
        &transcript.text,
        &annotations::of(&transcript.text, &transcript.citations),
    )
}

/// A part of a message.
pub(super) fn part(text: &str, annotations: &[Value]) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": annotations, "logprobs": [] })
}

fn error(failure: &Failure) -> Value {
    json!({ "code": failure.code, "message": failure.message, "param": failure.param })
}

/// `null` when the counts are not known. That nothing is known of the details is 0 in this API:
/// its clients rely on a number.
fn usage(transcript: &Transcript) -> Value {
    let usage = transcript.usage();
    if usage.is_null() {
        return usage;
    }
    json!({
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": usage["total_tokens"],
    })
}
