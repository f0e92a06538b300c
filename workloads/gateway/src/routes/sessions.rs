//! `/api/sessions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::page::{Page, PageQuery};
use crate::domain::parameters::Parameters;
use crate::failure::Failure;
use crate::identity::SignedIn;
use crate::state::AppState;
use crate::store::ListedSession;

/// How many sessions ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndedSessions {
    /// Browser sessions that are over.
    sessions: usize,
}

/// A session in an answer to an administrator.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnedSession {
    /// `sub` of the person who is signed in.
    subject: String,
    #[serde(flatten)]
    listed: ListedSession,
}

/// The caller's browser sessions, newest first.
///
/// # Errors
/// 400 for a bad or unknown parameter, 503 when the database is away.
#[utoipa::path(
    get,
    path = "/api/sessions",
    operation_id = "listSessions",
    tag = "sessions",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<ListedSession>)),
)]
pub async fn list(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ListedSession>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["limit", "cursor"])?;
    let query = PageQuery::of(&mut query);
    let limit = query.limit()?;
    let after = query.after::<Uuid>()?;
    let items = state
        .sessions
        .list(&identity, Some(&identity.subject), after, limit as i64 + 1)
        .await?;
    Ok(Json(Page::of(items, limit, |item| item.id)))
}

/// Ends one of the caller's sessions, with the answers that it has open.
///
/// # Errors
/// 404 when it is not the caller's, 503 when the database is away.
#[utoipa::path(
    delete,
    path = "/api/sessions/{id}",
    operation_id = "deleteSession",
    tag = "sessions",
    params(("id" = String, Path, description = "Identity of the session")),
    responses(
        (status = 204, description = "It is over"),
        (status = 404, description = "There is no such session of the caller"),
    ),
)]
pub async fn remove(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let id = Uuid::parse_str(&id).map_err(|_| Failure::not_found("session"))?;
    state.sessions.revoke(&identity, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all sessions of the caller but the one that asks, with the answers that they have open. Who
/// asks with an access token has none that asks: then all browser sessions end.
///
/// # Errors
/// 503 when the database is away.
#[utoipa::path(
    delete,
    path = "/api/sessions",
    operation_id = "deleteOtherSessions",
    tag = "sessions",
    responses((status = 200, description = "They are over", body = EndedSessions)),
)]
pub async fn remove_others(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
) -> Result<Json<EndedSessions>, Failure> {
    let sessions = state.sessions.end_others(&identity).await?;
    Ok(Json(EndedSessions { sessions }))
}

/// Everybody's browser sessions, newest first.
///
/// # Errors
/// 400 for a bad or unknown parameter, 403 for everybody but administrators, 503 when the database is
/// away.
#[utoipa::path(
    get,
    path = "/api/admin/sessions",
    operation_id = "listSessionsOfOthers",
    tag = "sessions",
    params(
        ("subject" = Option<String>, Query, description = "Those of the person with this `sub` only"),
        PageQuery,
    ),
    responses((status = 200, description = "A page", body = Page<OwnedSession>)),
)]
pub async fn list_all(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<OwnedSession>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["subject", "limit", "cursor"])?;
    let subject = query.take("subject");
    let query = PageQuery::of(&mut query);
    let limit = query.limit()?;
    let after = query.after::<Uuid>()?;
    let sessions = state
        .sessions
        .list(&identity, subject.as_deref(), after, limit as i64 + 1)
        .await?;
    let items = sessions.into_iter().map(|listed| OwnedSession {
        subject: listed.subject.clone(),
        listed,
    });
    Ok(Json(Page::of(items.collect(), limit, |item| {
        item.listed.id
    })))
}

/// Ends anybody's session, with the answers that it has open.
///
/// # Errors
/// 403 for everybody but administrators, 404 when there is none, 503 when the database is away.
#[utoipa::path(
    delete,
    path = "/api/admin/sessions/{id}",
    operation_id = "deleteSessionOfOther",
    tag = "sessions",
    params(("id" = String, Path, description = "Identity of the session")),
    responses(
        (status = 204, description = "It is over"),
        (status = 404, description = "There is no such session"),
    ),
)]
pub async fn remove_any(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let id = Uuid::parse_str(&id).map_err(|_| Failure::not_found("session"))?;
    state.sessions.revoke_any(&identity, id).await?;
    tracing::info!(session = %id, "an administrator ended a session");
    Ok(StatusCode::NO_CONTENT)
}
