//! A response as server-sent events: numbered, each with its name, the last one with the whole.
//!
//! Of a response in the background the numbers follow from what is stored of it, so that whoever comes
//! back is told the same ones from wherever it is read: four events stand before the text, one with text
//! has the number of the last of those and the bytes of text with it, and what ends the response is
//! counted on from there. Numbers only grow, and are left out where an event has several bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::response::sse::Event;
use serde_json::{Value, json};
use uuid::Uuid;

use super::object::{self, Item, Object, Status};
use crate::admission::Farewell;
use crate::domain::run::Run;
use crate::domain::transcript::{CallPiece, Step, Transcript};
use crate::failure::Failure;
use crate::routes::v1::sse::Writer;

/// Number of the first event of the item with the text.
const FIRST_OF_TEXT: u64 = 2;
/// Number of the last event before the text.
const LAST_BEFORE_TEXT: u64 = 3;

/// Bytes of text that are told with the event of this number, as far as it is one with text.
pub(super) fn text_bytes(number: u64) -> usize {
    usize::try_from(number.saturating_sub(LAST_BEFORE_TEXT)).unwrap_or(usize::MAX)
}

/// The number of the event with text after which so many bytes of it are told.
fn number_of(text_bytes: usize) -> u64 {
    LAST_BEFORE_TEXT.saturating_add(u64::try_from(text_bytes).unwrap_or(u64::MAX))
}

/// Writes `response.*` events.
pub(super) struct Events {
    object: Object,
    /// The number of the last event that the reader knows; those up to it are not told.
    after: Option<u64>,
    /// Number of the next event.
    next: u64,
    /// The same once more, but never less than the reader knows.
    next_told: Arc<AtomicU64>,
}

impl Events {
    pub(super) fn new(object: Object) -> Self {
        Self::after(object, None)
    }

    /// Those after the one of a number.
    pub(super) fn after(object: Object, after: Option<u64>) -> Self {
        let next = after.map_or(0, |after| after.saturating_add(1));
        Self {
            object,
            after,
            next: 0,
            next_told: Arc::new(AtomicU64::new(next)),
        }
    }

    fn push(&mut self, queue: &mut VecDeque<Event>, kind: &str, mut data: Value) {
        let number = self.next;
        self.next = number.saturating_add(1);
        if self.after.is_some_and(|after| number <= after) {
            return;
        }
        self.next_told.store(self.next, Ordering::Relaxed);
        data["type"] = kind.into();
        data["sequence_number"] = number.into();
        queue.push_back(Event::default().event(kind).data(data.to_string()));
    }

    /// An event that holds the response as it is.
    fn whole(
        &mut self,
        said: &Transcript,
        conversation: Option<Uuid>,
        status: Status<'_>,
        kind: &str,
        queue: &mut VecDeque<Event>,
    ) {
        let response = self.object.write(said, conversation, status);
        self.push(queue, kind, json!({ "response": response }));
    }

    /// What a response in the background begins with, with what is known of its decision.
    pub(super) fn opening(
        &mut self,
        lotoai: Option<Value>,
        conversation: Uuid,
        queue: &mut VecDeque<Event>,
    ) {
        self.next = 0;
        let (nothing, status) = (Transcript::default(), Status::InProgress);
        let mut response = self.object.write(&nothing, Some(conversation), status);
        if let Some(lotoai) = lotoai {
            response["lotoai"] = lotoai;
        }
        for kind in ["response.created", "response.in_progress"] {
            self.push(queue, kind, json!({ "response": response }));
        }
    }

    /// More text of a response in the background, of which there are `at` bytes with it.
    pub(super) fn text(&mut self, text: String, at: usize, queue: &mut VecDeque<Event>) {
        let step = Step::Text(text);
        if let Some((place, begins)) = self.object.note(&step) {
            if begins {
                self.next = FIRST_OF_TEXT;
                self.open(place, &Transcript::default(), queue);
            }
            self.next = number_of(at);
            self.add(place, &step, queue);
        }
    }

    /// The end of a response in the background; `object` and `said` are what is stored of it. Says
    /// whether it has an event of the number that the reader named.
    pub(super) fn end(
        &mut self,
        object: Object,
        said: &Transcript,
        conversation: Uuid,
        status: Status<'_>,
        queue: &mut VecDeque<Event>,
    ) -> bool {
        self.object = object;
        if let Status::Completed | Status::Incomplete(_) = status {
            self.end_items(said, status, queue);
        } else {
            self.next = number_of(said.text.len()).saturating_add(1);
        }
        self.whole(said, Some(conversation), status, kind_of(status), queue);
        self.after.is_none_or(|after| after < self.next)
    }

    /// What ends the items: the text, and functions, which are told whole and at the end.
    fn end_items(&mut self, said: &Transcript, status: Status<'_>, queue: &mut VecDeque<Event>) {
        let items = self.object.items().to_vec();
        if said.text.is_empty() && items.first() == Some(&Item::Message) {
            self.next = FIRST_OF_TEXT;
            self.open(0, said, queue);
        }
        self.next = number_of(said.text.len()).saturating_add(1);
        for (place, item) in items.into_iter().enumerate() {
            if let Item::Call(index) = item {
                self.open(place, said, queue);
                let call = said.function_calls.get(index);
                let whole = Step::Call(CallPiece {
                    index,
                    begins: true,
                    arguments: call.map(|it| it.arguments.clone()).unwrap_or_default(),
                });
                self.add(place, &whole, queue);
            }
            self.close(place, said, status, queue);
        }
    }

    /// The end of a response in the background of which nothing is stored, after so many bytes of text.
    pub(super) fn fail_unstored(
        &mut self,
        failure: &Failure,
        at: usize,
        conversation: Uuid,
        queue: &mut VecDeque<Event>,
    ) {
        self.next = number_of(at).saturating_add(1);
        let (nothing, status) = (Transcript::default(), Status::Failed(failure));
        self.whole(&nothing, Some(conversation), status, kind_of(status), queue);
    }

    /// The end for a reader of a response that goes on.
    pub(super) fn error(&self, failure: &Failure, queue: &mut VecDeque<Event>) {
        let number = self.next_told.load(Ordering::Relaxed);
        let event = error(failure, number).to_string();
        queue.push_back(Event::default().event("error").data(event));
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

    /// What a stream ends with that was ended without a word of this writer.
    pub(super) fn goodbye(&self) -> Farewell {
        let number = Arc::clone(&self.next_told);
        Farewell::new(move |failure| {
            let event = error(failure, number.load(Ordering::Relaxed));
            format!("event: error\ndata: {event}\n\n")
        })
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
        let (said, conversation) = (&run.transcript, run.conversation_id);
        for kind in ["response.created", "response.in_progress"] {
            self.whole(said, conversation, Status::InProgress, kind, queue);
        }
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
        let conversation = run.conversation_id;
        self.whole(transcript, conversation, status, kind_of(status), queue);
    }

    fn fail(&mut self, run: &Run, failure: &Failure, queue: &mut VecDeque<Event>) {
        let (said, conversation) = (&run.transcript, run.conversation_id);
        let status = Status::Failed(failure);
        self.whole(said, conversation, status, kind_of(status), queue);
    }

    /// Without the response, which is not at hand any more.
    fn farewell(&self) -> Farewell {
        self.goodbye()
    }
}

/// The name of the event that a response ends with.
fn kind_of(status: Status<'_>) -> &'static str {
    match status {
        Status::InProgress => "response.in_progress",
        Status::Completed => "response.completed",
        Status::Incomplete(_) => "response.incomplete",
        // There is no name of its own for what was cancelled: the status says it.
        Status::Failed(_) | Status::Cancelled => "response.failed",
    }
}

/// The end for a reader, without the response.
fn error(failure: &Failure, number: u64) -> Value {
    json!({
        "type": "error",
        "code": failure.code,
        "message": failure.message,
        "param": failure.param,
        "sequence_number": number,
    })
}
