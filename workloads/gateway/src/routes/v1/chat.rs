//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse as _, Response};
use lotoai_kit::AnsweredBy;
use lotoai_policy::probe;

use super::chunks::{ChunkWriter, Chunks};
use super::resume::{ChunkTeller, telling};
use super::{CONVERSATION_ID, RUN_ID, sse, warn};
use crate::domain::chat_request::{ChatRequest, MAX_BODY_BYTES};
use crate::domain::run::Run;
use crate::domain::transcript::Step;
use crate::failure::Failure;
use crate::idempotency::Unkept;
use crate::identity::{Identity, SignedIn};
use crate::openapi::bodies::chat::{ChatCompletion, ChatCompletionRequest};
use crate::routes::body;
use crate::state::AppState;
use crate::store::AnswerPlace;
use crate::streams::places::Place;
use crate::streams::tape::{Ending, Last, Part, Tape};

/// Answers a question, whole or as a stream.
///
/// # Errors
/// 400 and 413 for a request that cannot be understood, 404 for an unknown model or conversation,
/// 429 for a budget that is used up, 503 when something that is needed is away.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    operation_id = "createChatCompletion",
    tag = "chat",
    request_body = ChatCompletionRequest,
    responses(
        (
            status = 200,
            description = "The answer: whole, or as server-sent events, each with an object \
                           `chat.completion.chunk` and the last with `[DONE]`",
            content(
                (ChatCompletion = "application/json"),
                (String = "text/event-stream"),
            ),
        ),
        (status = 404, description = "There is no such model or conversation for the caller"),
        (status = 413, description = "The body is longer than 1 MiB"),
    ),
)]
pub async fn complete(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = body::read(body, MAX_BODY_BYTES).await?;
    let request = Arc::new(ChatRequest::parse(&bytes)?);
    probe::may_ask(identity.who(), &request.model)?;
    let place = make_room(&state, &request, None)?;
    let run = Run::begin(Arc::clone(&state), &identity, &request).await?;
    let manner = Manner {
        model: request.model.clone(),
        stream: request.stream,
        include_usage: request.include_usage,
        tells_approvals: false,
        place,
    };
    answer(&state, &identity, run, manner).await
}

/// A place for an answer that is written by itself: it goes on for a while, or to its end where
/// `unread_of` asked for that, without the request that began it.
///
/// # Errors
/// 429 when as many are being written as there may be, or as one person may have.
pub(super) fn make_room(
    state: &AppState,
    request: &ChatRequest,
    unread_of: Option<&str>,
) -> Result<Option<Place>, Failure> {
    let most = state.limits.requests_max_concurrent;
    let place = request
        .resumable
        .then(|| state.streams.place(most, unread_of));
    place.transpose()
}

/// How an answer is told.
pub(in crate::routes) struct Manner {
    /// Model as named by the caller.
    pub(in crate::routes) model: String,
    /// Whether it comes as server-sent events.
    pub(in crate::routes) stream: bool,
    /// Whether those end with the usage.
    pub(in crate::routes) include_usage: bool,
    /// Whether those tell in events of their own what the answer asks consent for.
    pub(in crate::routes) tells_approvals: bool,
    /// Where it is written by itself, its place.
    pub(in crate::routes) place: Option<Place>,
}

/// Tells an answer, whole or as a stream. One that a client may come back to is written by itself.
///
/// # Errors
/// What goes wrong before the first event, or before the end of a whole answer.
pub(in crate::routes) async fn answer(
    state: &Arc<AppState>,
    identity: &Identity,
    run: Run,
    manner: Manner,
) -> Result<Response, Failure> {
    let warnings = run.budget_warnings().to_vec();
    let place = run.place();
    let by = run.answered_by();
    let chunks = Chunks {
        run_id: run.id,
        model: manner.model,
        created: crate::identity::token::now(),
        include_usage: manner.include_usage,
        tells_approvals: manner.tells_approvals,
    };
    let mut response = match (manner.stream, run.is_resumable()) {
        (true, true) => {
            let (whole, is_streaming) = (run.whole(), run.streaming());
            let tape = state.streams.write(run, manner.place);
            let teller = ChunkTeller::new(chunks, 0);
            telling::begin(state, identity, teller, &tape, whole, &is_streaming).await?
        }
        (true, false) => sse::stream(run, ChunkWriter::new(chunks)).await?,
        (false, true) => {
            let tape = state.streams.write(run, manner.place);
            whole_of_tape(&tape, &chunks).await?
        }
        (false, false) => whole(run, &chunks).await?,
    };
    mark(&mut response, by, &warnings, place);
    Ok(response)
}

/// What both APIs say beside an answer: which run gave it, warnings of budgets, and where it is stored,
/// which is told before the first event: there may be none but a failure. One that is not stored must
/// not be kept elsewhere either.
pub(super) fn mark(
    response: &mut Response,
    by: AnsweredBy,
    warnings: &[String],
    place: Option<AnswerPlace>,
) {
    warn(response, warnings);
    response.extensions_mut().insert(by);
    match place {
        Some(place) => {
            for (name, id) in [
                (RUN_ID, place.run_id),
                (CONVERSATION_ID, place.conversation_id),
            ] {
                if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
                    response.headers_mut().insert(name, id);
                }
            }
            response.extensions_mut().insert(place);
        }
        None => {
            response.extensions_mut().insert(Unkept);
        }
    }
}

async fn whole(mut run: Run, chunks: &Chunks) -> Result<Response, Failure> {
    while run.next().await? != Step::Finished {}
    let transcript = &run.transcript;
    let last = Last {
        calls: Vec::new(),
        lotoai: run.lotoai(),
        reason: transcript.finish_reason().to_owned(),
        usage: transcript.usage(),
    };
    let whole = chunks.whole(&transcript.text, &transcript.function_calls, &last);
    Ok(Json(whole).into_response())
}

/// Waits for the end of an answer that is written by itself. It goes on for a while when its reader
/// leaves.
async fn whole_of_tape(tape: &Arc<Tape>, chunks: &Chunks) -> Result<Response, Failure> {
    let mut reader = tape.read(None).ok_or_else(Failure::internal)?;
    let mut text = String::new();
    loop {
        match reader.next().await {
            Some(Part::Opening(_)) => {}
            Some(Part::Text(more, _)) => text.push_str(&more),
            Some(Part::Ending(ending)) => {
                return match &*ending {
                    Ending::Failed(failure) => Err(failure.clone()),
                    Ending::Whole(last) => {
                        Ok(Json(chunks.whole(&text, &last.calls, last)).into_response())
                    }
                };
            }
            None => return Err(Failure::internal()),
        }
    }
}
