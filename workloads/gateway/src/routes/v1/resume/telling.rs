//! A stream that is come back to, told in the events of whichever API is asked.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::response::Response;
use axum::response::sse::Event;
use futures::stream;
use serde_json::Value;
use uuid::Uuid;

use super::source::{Elsewhere, Place, Source};
use crate::admission::Farewell;
use crate::domain::end::Whole;
use crate::domain::stored_question::Streaming;
use crate::failure::Failure;
use crate::flag::Flag;
use crate::idempotency::Streamed;
use crate::identity::Identity;
use crate::identity::watch::Follow;
use crate::routes::v1::sse::{GRACE, respond};
use crate::state::AppState;
use crate::streams::tape::{Ending, Part, Reader, Tape};

/// Puts the parts of a stream into the events of an API.
pub(in crate::routes::v1) trait Teller: Send + 'static {
    /// Nothing has come yet for a while.
    fn begin(&mut self, queue: &mut VecDeque<Event>);

    /// It begins, with this `lotoai` object.
    fn opening(&mut self, lotoai: Value, queue: &mut VecDeque<Event>);

    /// More text, and how many bytes there are with it.
    fn text(&mut self, text: String, at: usize, queue: &mut VecDeque<Event>);

    /// The end of the answer, good or bad.
    ///
    /// # Errors
    /// Why it cannot be told to this reader.
    fn end(
        &mut self,
        state: &AppState,
        ending: &Ending,
        queue: &mut VecDeque<Event>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// The end for this reader alone.
    fn fail(&mut self, failure: &Failure, queue: &mut VecDeque<Event>);

    /// What a stream ends with that was ended without a word of this teller.
    fn farewell(&self) -> Farewell;
}

/// Streams an answer that goes on by itself; `whole` is what becomes of it. Raises `is_streaming` once
/// failures are told in the stream.
///
/// # Errors
/// What goes wrong before the first event.
pub(in crate::routes::v1) async fn begin(
    state: &Arc<AppState>,
    identity: &Identity,
    teller: impl Teller,
    tape: &Arc<Tape>,
    whole: Whole,
    is_streaming: &Streaming,
) -> Result<Response, Failure> {
    let mut reader = tape.read(None).ok_or_else(Failure::internal)?;
    let first = first(&mut reader, is_streaming).await?;
    let mut telling = Telling::new(state, identity, teller, Source::Here(reader));
    match first {
        Some(part) => telling.add(part).await?,
        None => telling.teller.begin(&mut telling.queue),
    }
    let failed = telling.failed.clone();
    let mut response = tell(telling);
    response.extensions_mut().insert(Streamed { failed, whole });
    Ok(response)
}

/// What a stream begins with; `None` where nothing has come for a while.
///
/// # Errors
/// The answer has failed before that, or is failing: its end is being stored as that of one that is
/// told by its status.
async fn first(reader: &mut Reader, is_streaming: &Streaming) -> Result<Option<Part>, Failure> {
    let soon = tokio::time::timeout(GRACE, reader.next()).await;
    let mut first = soon.ok().flatten();
    if first.is_none() && !is_streaming.raise() {
        // Who stores an end tells it within a second.
        first = reader.next().await;
    }
    if let Some(Part::Ending(ending)) = &first
        && let Ending::Failed(failure) = &**ending
    {
        return Err(failure.clone());
    }
    is_streaming.raise();
    Ok(first)
}

/// Goes on with the stream of a run from a place.
///
/// # Errors
/// 400 for a place that the stream has not given, 404 when it is gone meanwhile, 503 when the database
/// is away.
pub(in crate::routes::v1) async fn resume(
    state: &Arc<AppState>,
    identity: &Identity,
    teller: impl Teller,
    run_id: Uuid,
    conversation_id: Uuid,
    place: Place,
) -> Result<Response, Failure> {
    let source = match state.streams.get(run_id) {
        Some(tape) => Source::Here(tape.read(place.from).ok_or_else(place.bad)?),
        None => Source::Stored(Elsewhere::new(run_id, conversation_id, place)),
    };
    let mut telling = Telling::new(state, identity, teller, source);
    if let Source::Stored(stored) = &mut telling.source {
        // What is wrong with the request is told before the stream.
        let parts = stored.next(state).await?;
        telling.add_all(parts).await?;
    }
    Ok(tell(telling))
}

fn tell<T: Teller>(telling: Telling<T>) -> Response {
    let farewell = telling.teller.farewell();
    let mut response = respond(stream::unfold(telling, |mut telling| async move {
        let event = telling.next().await?;
        Some((event, telling))
    }));
    response.extensions_mut().insert(farewell);
    response
}

struct Telling<T> {
    state: Arc<AppState>,
    follow: Follow,
    teller: T,
    source: Source,
    queue: VecDeque<Event>,
    is_over: bool,
    failed: Flag,
}

impl<T: Teller> Telling<T> {
    fn new(state: &Arc<AppState>, identity: &Identity, teller: T, source: Source) -> Self {
        Self {
            follow: state.watch.follow(identity),
            state: Arc::clone(state),
            teller,
            source,
            queue: VecDeque::new(),
            is_over: false,
            failed: Flag::default(),
        }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            let parts = tokio::select! {
                biased;
                failure = self.follow.over() => Err(failure),
                parts = self.source.next(&self.state) => parts,
            };
            let told = match parts {
                Ok(parts) => self.add_all(parts).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = told {
                self.failed.raise();
                self.teller.fail(&failure, &mut self.queue);
                self.is_over = true;
            }
        }
    }

    async fn add_all(&mut self, parts: Vec<Part>) -> Result<(), Failure> {
        for part in parts {
            self.add(part).await?;
        }
        Ok(())
    }

    async fn add(&mut self, part: Part) -> Result<(), Failure> {
        match part {
            Part::Opening(lotoai) => self.teller.opening(lotoai, &mut self.queue),
            Part::Text(text, at) => self.teller.text(text, at, &mut self.queue),
            Part::Ending(ending) => {
                self.is_over = true;
                if matches!(&*ending, Ending::Failed(_)) {
                    self.failed.raise();
                }
                let (teller, queue) = (&mut self.teller, &mut self.queue);
                teller.end(&self.state, &ending, queue).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_stream_begins_whose_question_is_taken_back() {
        let tape = Arc::new(Tape::default());
        let streaming = Streaming::default();
        assert!(streaming.undo());
        let mut reader = tape.read(None).unwrap();
        let failing = async {
            tokio::time::sleep(2 * GRACE).await;
            tape.end(Ending::Failed(Failure::internal()));
        };
        let (told, ()) = tokio::join!(first(&mut reader, &streaming), failing);
        assert_eq!(told.unwrap_err(), Failure::internal());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_begins_and_keeps_its_question() {
        let tape = Arc::new(Tape::default());
        let streaming = Streaming::default();
        let mut reader = tape.read(None).unwrap();
        let told = first(&mut reader, &streaming).await.unwrap();
        assert!(told.is_none(), "{told:?}");
        assert!(!streaming.undo());
    }
}
