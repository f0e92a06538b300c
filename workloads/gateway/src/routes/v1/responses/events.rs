//! A response as server-sent events: numbered, each with its name, the last one with the whole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::response::sse::Event;
use serde_json::{Value, json};

use super::object::{self, Item, Object, Status};
use crate::admission::Farewell;
use crate::domain::run::Run;
use crate::domain::transcript::{Step, Transcript};
use crate::failure::Failure;
use crate::routes::v1::sse::Writer;

/// Writes `response.*` events.
pub(super) struct Events {
    object: Object,
    /// Number of the next event.
    number: Arc<AtomicU64>,
}

impl Events {
    pub(super) fn new(object: Object) -> Self {
        Self {
            object,
            number: Arc::default(),
        }
    }

    fn push(&mut self, queue: &mut VecDeque<Event>, kind: &str, mut data: Value) {
        data["type"] = kind.into();
        data["sequence_number"] = self.number.fetch_add(1, Ordering::Relaxed).into();
        queue.push_back(Event::default().event(kind).data(data.to_string()));
    }

    /// An event that holds the response as it is.
    fn whole(&mut self, run: &Run, status: Status<'_>, kind: &str, queue: &mut VecDeque<Event>) {
        let (said, conversation) = (&run.transcript, run.conversation_id);
        let response = self.object.write(said, conversation, status);
        self.push(queue, kind, json!({ "response": response }));
    }

    /// Where an event is about: the item, and within a message its only part.
    fn about(&self, place: usize, item: Item) -> Value {
        let mut about = json!({ "item_id": self.object.item_id(item), "output_index": place });
        if item == Item::Message {
            about["content_index"] = 0.into();
        }
        about
    }

    /// An item begins.
    fn open(&mut self, place: usize, transcript: &Transcript, queue: &mut VecDeque<Event>) {
        let item = self.object.items()[place];
        let begun = self.object.item(item, transcript, Status::InProgress);
        let added = json!({ "output_index": place, "item": begun });
        self.push(queue, "response.output_item.added", added);
        if item == Item::Message {
            let mut part = self.about(place, item);
            part["part"] = object::part("", &[]);
            self.push(queue, "response.content_part.added", part);
        }
    }

    /// More of an item.
    fn add(&mut self, place: usize, step: &Step, queue: &mut VecDeque<Event>) {
        let item = self.object.items()[place];
        let mut delta = self.about(place, item);
        match step {
            Step::Text(text) => {
                delta["delta"] = text.as_str().into();
                delta["logprobs"] = json!([]);
                self.push(queue, "response.output_text.delta", delta);
            }
            Step::Call(piece) if !piece.arguments.is_empty() => {
                delta["delta"] = piece.arguments.as_str().into();
                self.push(queue, "response.function_call_arguments.delta", delta);
            }
            Step::Call(_) | Step::Quiet | Step::Decided | Step::Finished => {}
        }
    }

    /// An item is whole.
    fn close(
        &mut self,
        place: usize,
        transcript: &Transcript,
        status: Status<'_>,
        queue: &mut VecDeque<Event>,
    ) {
        let item = self.object.items()[place];
        let whole = self.object.item(item, transcript, status);
        let about = self.about(place, item);
        match item {
            Item::Message => self.close_text(&about, &whole["content"][0], queue),
            Item::Call(_) => {
                let mut done = about;
                done["name"] = whole["name"].clone();
                done["arguments"] = whole["arguments"].clone();
                self.push(queue, "response.function_call_arguments.done", done);
            }
        }
        let done = json!({ "output_index": place, "item": whole });
        self.push(queue, "response.output_item.done", done);
    }

    fn close_text(&mut self, about: &Value, part: &Value, queue: &mut VecDeque<Event>) {
        let annotations = part["annotations"].as_array();
        for (index, annotation) in annotations.into_iter().flatten().enumerate() {
            let mut added = about.clone();
            added["annotation_index"] = index.into();
            added["annotation"] = annotation.clone();
            self.push(queue, "response.output_text.annotation.added", added);
        }
        let mut done = about.clone();
        done["text"] = part["text"].clone();
        done["logprobs"] = json!([]);
        self.push(queue, "response.output_text.done", done);
        let mut done = about.clone();
        done["part"] = part.clone();
        self.push(queue, "response.content_part.done", done);
    }
}

impl Writer for Events {
    fn begin(&mut self, run: &Run, queue: &mut VecDeque<Event>) {
        self.whole(run, Status::InProgress, "response.created", queue);
        self.whole(run, Status::InProgress, "response.in_progress", queue);
    }

    fn step(&mut self, run: &Run, step: Step, queue: &mut VecDeque<Event>) {
        let transcript = &run.transcript;
        if let Some((place, begins)) = self.object.note(&step) {
            if begins {
                self.open(place, transcript, queue);
            }
            self.add(place, &step, queue);
        }
        if step != Step::Finished {
            return;
        }
        let status = Status::of_end(transcript);
        for place in 0..self.object.items().len() {
            self.close(place, transcript, status, queue);
        }
        let kind = match status {
            Status::Incomplete(_) => "response.incomplete",
            _ => "response.completed",
        };
        self.whole(run, status, kind, queue);
    }

    fn fail(&mut self, run: &Run, failure: &Failure, queue: &mut VecDeque<Event>) {
        self.whole(run, Status::Failed(failure), "response.failed", queue);
    }

    /// Without the response, which is not at hand any more.
    fn farewell(&self) -> Farewell {
        let number = Arc::clone(&self.number);
        Farewell::new(move |failure| {
            let event = json!({
                "type": "error",
                "code": failure.code,
                "message": failure.message,
                "param": failure.param,
                "sequence_number": number.load(Ordering::Relaxed),
            });
            format!("event: error\ndata: {event}\n\n")
        })
    }
}
