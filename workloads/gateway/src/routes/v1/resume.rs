//! Streams that a client may come back to: `GET /v1/chat/completions/{id}/stream` and
//! `POST /v1/chat/completions/{id}/cancel`.
//!
//! Every event with text has as its id how many bytes of text there are with it. Who comes back with
//! `Last-Event-ID` is given what follows, be it from memory, from another replica or from PostgreSQL:
//! the same bytes, though not always cut into the same events. What ends a stream has no id and is
//! told each time, with the functions that the caller should run: nobody can run half a call.

mod source;

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use axum::response::sse::Event;
use futures::stream;
use lotoai_policy::streams;
use uuid::Uuid;

use self::source::{Elsewhere, Source, bad_event_id};
use super::chunks::{Chunks, event, failed, farewell};
use super::sse::{GRACE, respond};
use crate::domain::end::Whole;
use crate::failure::Failure;
use crate::flag::Flag;
use crate::idempotency::Streamed;
use crate::identity::watch::Follow;
use crate::identity::{Identity, SignedIn};
use crate::state::AppState;
use crate::store::StoredStream;
use crate::streams::tape::{Ending, Last, Part, Tape};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Streams an answer that goes on by itself; `whole` is what becomes of it. Raises `is_streaming` once
/// failures are told in the stream.
///
/// # Errors
/// What goes wrong before the first event.
pub(super) async fn begin(
    state: &Arc<AppState>,
    identity: &Identity,
    chunks: Chunks,
    tape: &Arc<Tape>,
    whole: Whole,
    is_streaming: &Flag,
) -> Result<Response, Failure> {
    let mut reader = tape.read(None).ok_or_else(Failure::internal)?;
    let first = tokio::time::timeout(GRACE, reader.next()).await;
    let first = first.ok().flatten();
    if let Some(Part::Ending(ending)) = &first
        && let Ending::Failed(failure) = &**ending
    {
        return Err(failure.clone());
    }
    is_streaming.raise();
    let source = Source::Here(reader);
    let mut telling = Telling::new(state, identity, chunks, source, 0);
    if let Some(part) = first {
        telling.add(part);
    }
    let failed = telling.failed.clone();
    let mut response = tell(telling);
    response.extensions_mut().insert(Streamed { failed, whole });
    Ok(response)
}

/// Goes on with a stream after the event that `Last-Event-ID` names, or from its beginning.
///
/// # Errors
/// 404 for an answer that the caller did not ask for, or without `stream_options.resumable`; 400 for
/// an id that the stream has not given; 503 when the database is away.
#[utoipa::path(
    get,
    path = "/v1/chat/completions/{id}/stream",
    operation_id = "resumeChatCompletion",
    tag = "chat",
    params(
        ("id" = String, Path, description = "Identity of the answer's chunks, or of its run"),
        (
            "Last-Event-ID" = Option<u64>,
            Header,
            description = "Id of the last event that was read; without it the stream begins again",
        ),
    ),
    responses(
        (
            status = 200,
            description = "What follows: server-sent events as POST /v1/chat/completions gives \
                           them, those with text with an id",
            content_type = "text/event-stream",
            body = String,
        ),
        (
            status = 404,
            description = "There is no such answer for the caller, or it was not asked for with \
                           `stream_options.resumable`",
        ),
    ),
)]
pub async fn resume(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (run_id, stored) = find(&state, &identity, &id).await?;
    let from = last_event_id(&headers)?;
    let chunks = Chunks {
        run_id,
        model: stored.model,
        created: u64::try_from(stored.created).unwrap_or_default(),
        include_usage: stored.include_usage,
        tells_approvals: false,
    };
    let source = match state.streams.get(run_id) {
        Some(tape) => Source::Here(tape.read(from).ok_or_else(bad_event_id)?),
        None => Source::Stored(Elsewhere::new(run_id, stored.conversation_id, from)),
    };
    let mut telling = Telling::new(&state, &identity, chunks, source, from.unwrap_or(0));
    if let Source::Stored(stored) = &mut telling.source {
        // What is wrong with the request is told before the stream.
        let parts = stored.next(&state).await?;
        parts.into_iter().for_each(|part| telling.add(part));
    }
    Ok(tell(telling))
}

/// Ends an answer: its call is cancelled, and what was written is stored.
///
/// # Errors
/// 404 for an answer that the caller did not ask for, or without `stream_options.resumable`; 503 when
/// the database is away.
#[utoipa::path(
    post,
    path = "/v1/chat/completions/{id}/cancel",
    operation_id = "cancelChatCompletion",
    tag = "chat",
    params(("id" = String, Path, description = "Identity of the answer's chunks, or of its run")),
    responses(
        (status = 204, description = "It ends; one that has ended stays as it is"),
        (
            status = 404,
            description = "There is no such answer for the caller, or it was not asked for with \
                           `stream_options.resumable`",
        ),
    ),
)]
pub async fn cancel(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let (run_id, _) = find(&state, &identity, &id).await?;
    if !state.streams.stop(run_id) {
        state.store.stop_stream(run_id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A stream that the caller may come back to. Its id is that of the run, or of its chunks.
async fn find(
    state: &AppState,
    identity: &Identity,
    id: &str,
) -> Result<(Uuid, StoredStream), Failure> {
    let unknown = || Failure::not_found("answer");
    let run_id = id.strip_prefix("chatcmpl-").unwrap_or(id);
    let run_id = Uuid::parse_str(run_id).map_err(|_| unknown())?;
    let stored = state.store.stream(run_id).await?.ok_or_else(unknown)?;
    if streams::may_come_back(identity.who(), &stored.subject, &stored.api_key) {
        Ok((run_id, stored))
    } else {
        Err(unknown())
    }
}

/// Bytes of text that the caller has read, as `Last-Event-ID` says; `None` when it is not sent.
///
/// # Errors
/// 400 for an id that no stream gives.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<usize>, Failure> {
    let Some(id) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let id = id.to_str().ok().and_then(|id| id.parse().ok());
    id.map(Some).ok_or_else(bad_event_id)
}

fn tell(telling: Telling) -> Response {
    let mut response = respond(stream::unfold(telling, |mut telling| async move {
        let event = telling.next().await?;
        Some((event, telling))
    }));
    response.extensions_mut().insert(farewell());
    response
}

struct Telling {
    state: Arc<AppState>,
    follow: Follow,
    chunks: Chunks,
    source: Source,
    /// Bytes of text that were told.
    at: usize,
    queue: VecDeque<Event>,
    is_over: bool,
    failed: Flag,
}

impl Telling {
    fn new(
        state: &Arc<AppState>,
        identity: &Identity,
        chunks: Chunks,
        source: Source,
        at: usize,
    ) -> Self {
        Self {
            follow: state.watch.follow(identity),
            state: Arc::clone(state),
            chunks,
            source,
            at,
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
            let over = tokio::select! {
                biased;
                failure = self.follow.over() => Some(failure),
                outcome = self.source.next(&self.state) => match outcome {
                    Ok(parts) => {
                        parts.into_iter().for_each(|part| self.add(part));
                        None
                    }
                    Err(failure) => Some(failure),
                },
            };
            if let Some(failure) = over {
                self.fail(&failure);
            }
        }
    }

    fn add(&mut self, part: Part) {
        match part {
            Part::Opening(lotoai) => self.push(self.chunks.first(lotoai)),
            Part::Text(text, at) => {
                self.at = at;
                self.push(self.chunks.text(&text));
            }
            Part::Ending(ending) => match &*ending {
                Ending::Failed(failure) => self.fail(failure),
                Ending::Whole(last) => {
                    let Last {
                        calls,
                        lotoai,
                        reason,
                        usage,
                    } = last.clone();
                    for (index, call) in calls.iter().enumerate() {
                        self.queue.push_back(event(self.chunks.call(index, call)));
                    }
                    self.queue.extend(self.chunks.approvals(&lotoai));
                    let events = self.chunks.last(lotoai, &reason, usage);
                    self.queue.extend(events.into_iter().map(event));
                    self.is_over = true;
                }
            },
        }
    }

    fn push(&mut self, data: String) {
        let event = Event::default().id(self.at.to_string()).data(data);
        self.queue.push_back(event);
    }

    fn fail(&mut self, failure: &Failure) {
        self.failed.raise();
        self.queue.extend(failed(failure));
        self.is_over = true;
    }
}
