//! `/api/conversations`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use uuid::Uuid;

use crate::domain::page::{Page, PageQuery};
use crate::domain::parameters::Parameters;
use crate::failure::Failure;
use crate::identity::SignedIn;
use crate::state::AppState;
use crate::store::{Conversation, ConversationSummary};

/// The caller's conversations, the most recently used first.
///
/// # Errors
/// 400 for a bad or unknown parameter, 503 when the database is away.
#[utoipa::path(
    get,
    path = "/api/conversations",
    operation_id = "listConversations",
    tag = "conversations",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<ConversationSummary>)),
)]
pub async fn list(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ConversationSummary>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["limit", "cursor"])?;
    let query = PageQuery::of(&mut query);
    let limit = query.limit()?;
    let after = query.after::<(i64, Uuid)>()?;
    let items = state
        .store
        .conversations(&identity.subject, after, limit as i64 + 1)
        .await?;
    Ok(Json(Page::of(items, limit, |item| {
        (item.updated_micros, item.id)
    })))
}

/// One conversation with its messages.
///
/// # Errors
/// 404 when it is not the caller's, 503 when the database is away.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}",
    operation_id = "getConversation",
    tag = "conversations",
    params(("id" = String, Path, description = "Identity of the conversation")),
    responses(
        (status = 200, description = "The conversation", body = Conversation),
        (status = 404, description = "There is no such conversation for the caller"),
    ),
)]
pub async fn one(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Json<Conversation>, Failure> {
    let id = known(&id)?;
    let found = state.store.conversation(&identity.subject, id).await?;
    found
        .map(Json)
        .ok_or_else(|| Failure::not_found("conversation"))
}

/// Deletes one conversation.
///
/// # Errors
/// 404 when it is not the caller's, 503 when the database is away.
#[utoipa::path(
    delete,
    path = "/api/conversations/{id}",
    operation_id = "deleteConversation",
    tag = "conversations",
    params(("id" = String, Path, description = "Identity of the conversation")),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 404, description = "There is no such conversation for the caller"),
    ),
)]
pub async fn remove(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    if state
        .store
        .delete_conversation(&identity.subject, known(&id)?)
        .await?
    {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Failure::not_found("conversation"))
    }
}

/// What is no id is the id of nothing.
fn known(id: &str) -> Result<Uuid, Failure> {
    Uuid::parse_str(id).map_err(|_| Failure::not_found("conversation"))
}
