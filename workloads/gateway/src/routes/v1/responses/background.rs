//! Responses in the background: written by themselves, looked for with `GET /v1/responses/{id}`, read
//! again with `?stream=true`, and ended with `POST /v1/responses/{id}/cancel`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use uuid::Uuid;

use super::events::{Events, text_bytes};
use super::object::{Object, Status};
use super::stored::{read, unknown};
use crate::admission::Farewell;
use crate::domain::responses_request::run_of;
use crate::domain::run::Run;
use crate::domain::transcript::Transcript;
use crate::failure::Failure;
use crate::identity::{Identity, SignedIn};
use crate::openapi::bodies::responses as bodies;
use crate::routes::v1::resume::source::{Place, incomplete};
use crate::routes::v1::resume::stream_of;
use crate::routes::v1::resume::telling::{self, Teller};
use crate::state::AppState;
use crate::store::{Standing, StoredStream};
use crate::streams::tape::Ending;
use crate::streams::{LOOK_EVERY, places};

/// How long whoever cancels waits for the end; it comes within a second, from a replica that lives.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lets a run go on by itself in its room, and tells of it: at once what it will be, or its events.
///
/// # Errors
/// What goes wrong before the first event.
pub(super) async fn begin(
    state: &Arc<AppState>,
    identity: &Identity,
    run: Run,
    room: Option<places::Place>,
    object: Object,
    streams: bool,
) -> Result<Response, Failure> {
    // One that is not stored is refused as a request.
    let conversation_id = run.conversation_id.ok_or_else(Failure::internal)?;
    let (run_id, whole, is_streaming) = (run.id, run.whole(), run.streaming());
    if !streams {
        // Its failures are told to who looks for it.
        is_streaming.raise();
        let begun = object.write(&run.transcript, Some(conversation_id), Status::InProgress);
        state.streams.write_unread(run, room);
        return Ok(Json(begun).into_response());
    }
    let tape = state.streams.write_unread(run, room);
    let teller = ResponseTeller {
        run_id,
        conversation_id,
        owner: identity.subject.clone(),
        events: Events::new(object),
        is_begun: false,
        at: 0,
    };
    telling::begin(state, identity, teller, &tape, whole, &is_streaming).await
}

/// The stream of a response in the background that the caller may come back to.
///
/// # Errors
/// 503 when the database is away.
pub(super) async fn find(
    state: &AppState,
    identity: &Identity,
    run_id: Uuid,
) -> Result<Option<StoredStream>, Failure> {
    let stream = stream_of(state, identity, run_id).await?;
    Ok(stream.filter(|it| it.repeated.is_some()))
}

/// A response that has not ended, as far as it is known.
pub(super) fn unfinished(state: &AppState, run_id: Uuid, stream: &StoredStream) -> Value {
    // Of one that is written here it is known better than by its row.
    let is_lost = stream.standing == Standing::Lost && state.streams.get(run_id).is_none();
    let failure = incomplete();
    let status = if is_lost {
        Status::Failed(&failure)
    } else {
        Status::InProgress
    };
    let conversation_id = Some(stream.conversation_id);
    object_of(run_id, stream).write(&Transcript::default(), conversation_id, status)
}

/// Tells the events of a response after the one of a number, or all of them.
///
/// # Errors
/// 400 for a number that it has not given, 404 when it is gone, 503 when the database is away.
pub(super) async fn resume(
    state: &Arc<AppState>,
    identity: &Identity,
    run_id: Uuid,
    stream: &StoredStream,
    after: Option<u64>,
) -> Result<Response, Failure> {
    let at = after.map_or(0, text_bytes);
    let place = Place {
        from: (at > 0).then_some(at),
        ends_have_places: true,
        bad: bad_number,
    };
    let teller = ResponseTeller {
        run_id,
        conversation_id: stream.conversation_id,
        owner: identity.subject.clone(),
        events: Events::after(object_of(run_id, stream), after),
        is_begun: false,
        at,
    };
    telling::resume(
        state,
        identity,
        teller,
        run_id,
        stream.conversation_id,
        place,
    )
    .await
}

/// Ends a response in the background: its call is cancelled, and what was written is stored. Gives the
/// response as it is then; one that has ended stays as it is.
///
/// # Errors
/// 404 for a response that the caller did not ask for, 400 for one that is not in the background or that
/// is older than a day, 503 when the database is away.
#[utoipa::path(
    post,
    path = "/v1/responses/{id}/cancel",
    operation_id = "cancelResponse",
    tag = "chat",
    params(("id" = String, Path, description = "Identity of the response")),
    responses(
        (status = 200, description = "The response", body = bodies::ResponsesAnswer),
        (
            status = 404,
            description = "There is no such response for the caller, or another API key asked for it",
        ),
    ),
)]
pub async fn cancel(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let run_id = run_of(&id).ok_or_else(unknown)?;
    let Some(stream) = find(&state, &identity, run_id).await? else {
        let message = "only a response with background: true can be cancelled, within 24 hours";
        return Err(told_once(&state, &identity, run_id, "id", message).await);
    };
    if stream.standing != Standing::Ended {
        let ended = stop(&state, run_id);
        // One that takes longer is shown as it is.
        if let Ok(stopped) = tokio::time::timeout(PATIENCE, ended).await {
            stopped?;
        }
    }
    super::stored::look(&state, &identity, run_id)
        .await
        .map(Json)
}

/// What is said of a response that is no stream to come back to for the caller.
pub(super) async fn told_once(
    state: &AppState,
    identity: &Identity,
    run_id: Uuid,
    param: &'static str,
    message: &'static str,
) -> Failure {
    match state.store.response(&identity.subject, run_id).await {
        Ok(Some(_)) => {}
        Ok(None) => return unknown(),
        Err(error) => return error.into(),
    }
    match state.store.stream(run_id).await {
        // There is one: of another API key, whose it is from its beginning to its end.
        Ok(Some(stream)) if stream.repeated.is_some() => unknown(),
        Ok(_) => Failure::unsupported(param, message),
        Err(error) => error.into(),
    }
}

/// Stops a run wherever it is written, and waits for its end.
async fn stop(state: &AppState, run_id: Uuid) -> Result<(), Failure> {
    if let Some(tape) = state.streams.get(run_id) {
        state.streams.stop(run_id);
        tape.ended().await;
        return Ok(());
    }
    state.store.stop_stream(run_id).await?;
    loop {
        let stream = state.store.stream(run_id).await?;
        if stream.is_none_or(|it| it.standing == Standing::Ended) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn object_of(run_id: Uuid, stream: &StoredStream) -> Object {
    let repeated = stream.repeated.clone().unwrap_or_default();
    Object::new(run_id, stream.model.clone(), repeated)
}

/// 400 for a number that the stream has not given.
fn bad_number() -> Failure {
    Failure::invalid(
        "starting_after",
        "starting_after must be the sequence_number of an event of this response; leave it out to \
         begin again",
    )
}

/// Tells a response in the background.
struct ResponseTeller {
    run_id: Uuid,
    conversation_id: Uuid,
    owner: String,
    events: Events,
    is_begun: bool,
    /// Bytes of text that were told.
    at: usize,
}

impl ResponseTeller {
    fn open(&mut self, lotoai: Option<Value>, queue: &mut VecDeque<Event>) {
        if !self.is_begun {
            self.is_begun = true;
            self.events.opening(lotoai, self.conversation_id, queue);
        }
    }
}

impl Teller for ResponseTeller {
    fn begin(&mut self, queue: &mut VecDeque<Event>) {
        self.open(None, queue);
    }

    fn opening(&mut self, lotoai: Value, queue: &mut VecDeque<Event>) {
        self.open(Some(lotoai), queue);
    }

    fn text(&mut self, text: String, at: usize, queue: &mut VecDeque<Event>) {
        self.open(None, queue);
        self.at = at;
        self.events.text(text, at, queue);
    }

    /// From what is stored, wherever the text came from: so it is the same each time.
    async fn end(
        &mut self,
        state: &AppState,
        ending: &Ending,
        queue: &mut VecDeque<Event>,
    ) -> Result<(), Failure> {
        self.open(None, queue);
        let stored = state.store.response(&self.owner, self.run_id).await;
        let stored = match (stored, ending) {
            (Ok(Some(stored)), _) => stored,
            // It left nothing, or is not stored yet.
            (_, Ending::Failed(failure)) => {
                let (at, conversation_id) = (self.at, self.conversation_id);
                self.events
                    .fail_unstored(failure, at, conversation_id, queue);
                return Ok(());
            }
            (Ok(None), Ending::Whole(_)) => return Err(unknown()),
            (Err(error), Ending::Whole(_)) => return Err(error.into()),
        };
        let (events, conversation_id) = (&mut self.events, self.conversation_id);
        let is_there = read(self.run_id, &stored, |object, said, status| {
            events.end(object, said, conversation_id, status, queue)
        });
        if is_there { Ok(()) } else { Err(bad_number()) }
    }

    fn fail(&mut self, failure: &Failure, queue: &mut VecDeque<Event>) {
        self.events.error(failure, queue);
    }

    fn farewell(&self) -> Farewell {
        self.events.goodbye()
    }
}
