//! Responses that are stored, or are being written in the background: shown again, with what was sent,
//! and deleted.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::background;
use super::inputs::{self, Wanted};
use super::object::{Object, Status};
use crate::domain::parameters::Parameters;
use crate::domain::responses_request::{id_of, run_of};
use crate::domain::run::CANCELLED;
use crate::domain::transcript::Transcript;
use crate::failure::Failure;
use crate::identity::{Identity, SignedIn};
use crate::openapi::bodies::responses as bodies;
use crate::state::AppState;
use crate::store::{Standing, StoredResponse};

/// Shows a stored response as it was given, and one in the background as far as it is; with `stream`
/// the events of one in the background, once more.
///
/// # Errors
/// 404 for a response that is not the caller's or that was not stored; 400 for events that are told once,
/// or that follow none; 503 when the database is away.
#[utoipa::path(
    get,
    path = "/v1/responses/{id}",
    operation_id = "getResponse",
    tag = "chat",
    params(
        ("id" = String, Path, description = "Identity of the response"),
        (
            "stream" = Option<bool>,
            Query,
            description = "Whether its events are told: those of a response with `background`, for 24 \
                           hours",
        ),
        (
            "starting_after" = Option<u64>,
            Query,
            description = "`sequence_number` of the last event that was read; without it all are told",
        ),
        ("include" = Option<Vec<String>>, Query, description = "Taken, and without effect"),
        ("include_obfuscation" = Option<bool>, Query, description = "Taken, and without effect"),
    ),
    responses(
        (
            status = 200,
            description = "The response, or its events",
            content((bodies::ResponsesAnswer = "application/json"), (String = "text/event-stream")),
        ),
        (status = 404, description = "There is no such stored response for the caller"),
    ),
)]
pub async fn show(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let shown = Shown::of(query.as_deref())?;
    let run_id = run_of(&id).ok_or_else(unknown)?;
    let Shown::Events(after) = shown else {
        let response = look(&state, &identity, run_id).await?;
        return Ok(Json(response).into_response());
    };
    let Some(stream) = background::find(&state, &identity, run_id).await? else {
        let message = "stream must be false: the events of a response are told again only with \
                       background: true, for 24 hours";
        return Err(background::told_once(&state, &identity, run_id, "stream", message).await);
    };
    background::resume(&state, &identity, run_id, &stream, after).await
}

/// A response as it is now.
///
/// # Errors
/// 404 where the caller has none of that run, 503 when the database is away.
pub(super) async fn look(
    state: &AppState,
    identity: &Identity,
    run_id: Uuid,
) -> Result<Value, Failure> {
    // First, so that one which ends meanwhile is found among those that have.
    if let Some(stream) = background::find(state, identity, run_id).await?
        && stream.standing != Standing::Ended
    {
        return Ok(background::unfinished(state, run_id, &stream));
    }
    let stored = state.store.response(&identity.subject, run_id).await?;
    let stored = stored.ok_or_else(unknown)?;
    let conversation_id = Some(stored.conversation_id);
    Ok(read(run_id, &stored, |object, said, status| {
        object.write(said, conversation_id, status)
    }))
}

/// Lists what was sent with a stored response, newest first unless `order` says otherwise.
///
/// # Errors
/// 400 for a bad or unknown parameter, 404 for a response that is not the caller's or that was not
/// stored, 503 when the database is away.
#[utoipa::path(
    get,
    path = "/v1/responses/{id}/input_items",
    operation_id = "listResponseInputItems",
    tag = "chat",
    params(
        ("id" = String, Path, description = "Identity of the response"),
        ("limit" = Option<u32>, Query, description = "Most items, 1 to 100; 20 if not said"),
        ("order" = Option<String>, Query, description = "`desc`, if not said, or `asc`"),
        ("after" = Option<String>, Query, description = "Identity of the item before the first"),
        ("include" = Option<Vec<String>>, Query, description = "Taken, and without effect"),
    ),
    responses(
        (status = 200, description = "The items", body = bodies::ResponseInputItems),
        (status = 404, description = "There is no such stored response for the caller"),
    ),
)]
pub async fn input_items(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Failure> {
    let wanted = Wanted::of(query.as_deref())?;
    let run_id = run_of(&id).ok_or_else(unknown)?;
    let sent = state.store.response_inputs(&identity.subject, run_id);
    let sent = sent.await?.ok_or_else(unknown)?;
    let items = sent.iter().flat_map(|(id, said)| inputs::items(*id, said));
    wanted.page(items.collect()).map(Json)
}

/// Deletes a stored response for good: its input and its answer are gone from their conversation,
/// and the conversation is where nothing else is in it.
///
/// # Errors
/// 404 for a response that is not the caller's or that was not stored, 503 when the database is
/// away.
#[utoipa::path(
    delete,
    path = "/v1/responses/{id}",
    operation_id = "deleteResponse",
    tag = "chat",
    params(("id" = String, Path, description = "Identity of the response")),
    responses(
        (status = 200, description = "It is gone", body = bodies::DeletedResponse),
        (status = 404, description = "There is no such stored response for the caller"),
    ),
)]
pub async fn remove(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let run_id = run_of(&id).ok_or_else(unknown)?;
    let mut change = state.store.begin().await?;
    if !change.delete_response(&identity.subject, run_id).await? {
        return Err(unknown());
    }
    change.commit().await?;
    Ok(Json(json!({
        "id": id_of(run_id), "object": "response", "deleted": true,
    })))
}

/// 404 for a response that is not there for the caller.
pub(super) fn unknown() -> Failure {
    Failure::not_found("response")
}

/// The parameters of what is shown; the first two have no effect.
const KNOWN: [&str; 4] = ["include", "include_obfuscation", "starting_after", "stream"];

/// What is wanted of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The response.
    Whole,
    /// Its events: all, or those after the one of a number.
    Events(Option<u64>),
}

impl Shown {
    /// What a query says.
    ///
    /// # Errors
    /// 400 for an unknown parameter, and for a place in a stream that is not asked for, or that is none.
    pub fn of(query: Option<&str>) -> Result<Self, Failure> {
        let query = inputs::without_include(query);
        let mut parameters = Parameters::parse(query.as_deref(), &KNOWN)?;
        let is_stream = match parameters.take("stream").as_deref() {
            Some("true") => true,
            None | Some("false") => false,
            Some(_) => return Err(Failure::invalid("stream", "stream must be true or false")),
        };
        let after = parameters.take("starting_after").map(|text| {
            text.parse::<u64>().map_err(|_| {
                let message = "starting_after must be the sequence_number of an event";
                Failure::invalid("starting_after", message)
            })
        });
        match after.transpose()? {
            after if is_stream => Ok(Self::Events(after)),
            None => Ok(Self::Whole),
            Some(_) => Err(Failure::invalid(
                "starting_after",
                "starting_after is a place in a stream: send stream=true with it",
            )),
        }
    }
}

/// Makes something of a stored response: of the object, what was said, and how it ended.
pub(super) fn read<T>(
    run_id: Uuid,
    stored: &StoredResponse,
    tell: impl FnOnce(Object, &Transcript, Status<'_>) -> T,
) -> T {
    let transcript = Transcript::of_stored(stored.text.clone(), &stored.answer);
    let object = Object::of_stored(run_id, stored, &transcript);
    let failure = stored.answer.end.failure.as_ref().map(Failure::of_stored);
    let status = match &failure {
        None => Status::of_end(&transcript),
        Some(_) if stored.outcome == CANCELLED => Status::Cancelled,
        Some(failure) => Status::Failed(failure),
    };
    tell(object, &transcript, status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("", Shown::Whole)]
    #[case("stream=false&include_obfuscation=false", Shown::Whole)]
    #[case("include[]=file_search_call.results", Shown::Whole)]
    #[case("stream=true", Shown::Events(None))]
    #[case("starting_after=7&stream=true", Shown::Events(Some(7)))]
    fn what_is_wanted_is_what_the_query_says(#[case] query: &str, #[case] expected: Shown) {
        assert_eq!(Shown::of(Some(query)).unwrap(), expected);
    }

    #[rstest::rstest]
    #[case("starting_after=7", "starting_after")]
    #[case("starting_after=7&stream=false", "starting_after")]
    #[case("starting_after=-1&stream=true", "starting_after")]
    #[case("starting_after=x&stream=true", "starting_after")]
    #[case("starting_after=&stream=true", "starting_after")]
    #[case("stream=yes", "stream")]
    #[case("streams=true", "streams")]
    fn what_cannot_be_understood_is_named(#[case] query: &str, #[case] parameter: &str) {
        let failure = Shown::of(Some(query)).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(parameter));
    }
}
