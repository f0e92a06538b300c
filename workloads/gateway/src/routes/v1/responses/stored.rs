//! Responses that are stored: shown again, with what was sent, and deleted.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use super::inputs::{self, Wanted};
use super::object::{Object, Status};
use crate::domain::responses_request::{id_of, run_of};
use crate::domain::run::CANCELLED;
use crate::domain::transcript::Transcript;
use crate::failure::Failure;
use crate::identity::SignedIn;
use crate::openapi::bodies::responses as bodies;
use crate::state::AppState;
use crate::store::StoredResponse;

/// Shows a stored response as it was given.
///
/// # Errors
/// 404 for a response that is not the caller's, that was not stored or that is still written; 503
/// when the database is away.
#[utoipa::path(
    get,
    path = "/v1/responses/{id}",
    operation_id = "getResponse",
    tag = "chat",
    params(("id" = String, Path, description = "Identity of the response")),
    responses(
        (status = 200, description = "The response", body = bodies::ResponsesAnswer),
        (status = 404, description = "There is no such stored response for the caller"),
    ),
)]
pub async fn show(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Failure> {
    refuse_stream(query.as_deref())?;
    let run_id = run_of(&id).ok_or_else(unknown)?;
    let stored = state.store.response(&identity.subject, run_id).await?;
    let stored = stored.ok_or_else(unknown)?;
    Ok(Json(shown(run_id, &stored)))
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

fn unknown() -> Failure {
    Failure::not_found("response")
}

/// A client that asks for events would find none in the answer. OpenAI's other parameters have no
/// effect here.
///
/// # Errors
/// 400 when events are asked for.
pub fn refuse_stream(query: Option<&str>) -> Result<(), Failure> {
    let mut asked = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    if asked.any(|(name, value)| name == "stream" && value == "true") {
        let message = "stream must be false: the events of a response are told once";
        return Err(Failure::unsupported("stream", message));
    }
    Ok(())
}

fn shown(run_id: Uuid, stored: &StoredResponse) -> Value {
    let transcript = Transcript::of_stored(stored.text.clone(), &stored.answer);
    let object = Object::of_stored(run_id, stored, &transcript);
    let failure = stored.answer.end.failure.as_ref().map(Failure::of_stored);
    let status = match &failure {
        None => Status::of_end(&transcript),
        Some(_) if stored.outcome == CANCELLED => Status::Cancelled,
        Some(failure) => Status::Failed(failure),
    };
    object.write(&transcript, Some(stored.conversation_id), status)
}
