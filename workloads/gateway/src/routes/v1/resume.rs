//! Streams that a client may come back to: `GET /v1/chat/completions/{id}/stream` and
//! `POST /v1/chat/completions/{id}/cancel`.
//!
//! Every event with text has as its id how many bytes of text there are with it. Who comes back with
//! `Last-Event-ID` is given what follows, be it from memory, from another replica or from PostgreSQL:
//! the same bytes, though not always cut into the same events. What ends a stream has no id and is
//! told each time, with the functions that the caller should run: nobody can run half a call.

pub(super) mod source;
pub(super) mod telling;

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use axum::response::sse::Event;
use lotoai_policy::streams;
use serde_json::Value;
use uuid::Uuid;

use self::source::Place;
use self::telling::Teller;
use super::chunks::{Chunks, event, failed, farewell};
use crate::admission::Farewell;
use crate::failure::Failure;
use crate::identity::{Identity, SignedIn};
use crate::state::AppState;
use crate::store::StoredStream;
use crate::streams::tape::{Ending, Last};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

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
    let place = Place {
        from,
        ends_have_places: false,
        bad: bad_event_id,
    };
    let teller = ChunkTeller::new(chunks, from.unwrap_or(0));
    telling::resume(
        &state,
        &identity,
        teller,
        run_id,
        stored.conversation_id,
        place,
    )
    .await
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
    let stored = stream_of(state, identity, run_id).await?;
    Ok((run_id, stored.ok_or_else(unknown)?))
}

/// The stream of a run, where the caller may come back to it.
///
/// # Errors
/// 503 when the database is away.
pub(super) async fn stream_of(
    state: &AppState,
    identity: &Identity,
    run_id: Uuid,
) -> Result<Option<StoredStream>, Failure> {
    let stored = state.store.stream(run_id).await?;
    let may = |it: &StoredStream| streams::may_come_back(identity.who(), &it.subject, &it.api_key);
    Ok(stored.filter(may))
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

/// 400 for a place that the stream has not given.
fn bad_event_id() -> Failure {
    Failure::invalid(
        "Last-Event-ID",
        "Last-Event-ID must be the id of an event of this stream; leave it out to begin again",
    )
}

/// Tells a stream in chunks.
pub(super) struct ChunkTeller {
    chunks: Chunks,
    /// Bytes of text that were told.
    at: usize,
}

impl ChunkTeller {
    pub(super) const fn new(chunks: Chunks, at: usize) -> Self {
        Self { chunks, at }
    }

    fn with_id(&self, data: String) -> Event {
        Event::default().id(self.at.to_string()).data(data)
    }
}

impl Teller for ChunkTeller {
    /// The first chunk tells the decision, and there is none yet.
    fn begin(&mut self, _queue: &mut VecDeque<Event>) {}

    fn opening(&mut self, lotoai: Value, queue: &mut VecDeque<Event>) {
        queue.push_back(self.with_id(self.chunks.first(lotoai)));
    }

    fn text(&mut self, text: String, at: usize, queue: &mut VecDeque<Event>) {
        self.at = at;
        queue.push_back(self.with_id(self.chunks.text(&text)));
    }

    fn end(
        &mut self,
        _state: &AppState,
        ending: &Ending,
        queue: &mut VecDeque<Event>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        match ending {
            Ending::Failed(failure) => self.fail(failure, queue),
            Ending::Whole(last) => {
                let Last {
                    calls,
                    lotoai,
                    reason,
                    usage,
                } = last.clone();
                for (index, call) in calls.iter().enumerate() {
                    queue.push_back(event(self.chunks.call(index, call)));
                }
                queue.extend(self.chunks.approvals(&lotoai));
                let events = self.chunks.last(lotoai, &reason, usage);
                queue.extend(events.into_iter().map(event));
            }
        }
        std::future::ready(Ok(()))
    }

    fn fail(&mut self, failure: &Failure, queue: &mut VecDeque<Event>) {
        queue.extend(failed(failure));
    }

    fn farewell(&self) -> Farewell {
        farewell()
    }
}
