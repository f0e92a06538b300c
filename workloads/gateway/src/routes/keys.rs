//! `/api/keys`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::body;
use crate::domain::key_request::{KeyRequest, MAX_BODY_BYTES};
use crate::domain::page::{Page, PageQuery};
use crate::domain::parameters::Parameters;
use crate::failure::Failure;
use crate::idempotency::Unkept;
use crate::identity::{SignedIn, api_key};
use crate::openapi::bodies::api::ApiKeyRequest;
use crate::state::AppState;
use crate::store::ApiKey;

/// A key in an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedApiKey)]
pub struct Shown {
    /// Enough of it to know it again.
    shown: String,
    #[serde(flatten)]
    key: ApiKey,
}

/// A key in an answer to an administrator.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnedApiKey)]
pub struct Owned {
    /// `sub` of its owner.
    owner: String,
    /// Name of its owner when it was made.
    owner_name: String,
    #[serde(flatten)]
    listed: Shown,
}

/// A key in the one answer that holds it.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub struct Made {
    /// The key itself.
    key: String,
    #[serde(flatten)]
    listed: Shown,
}

fn shown(key: ApiKey) -> Shown {
    Shown {
        shown: api_key::shown(&key.id),
        key,
    }
}

/// Makes a key of the caller's.
///
/// # Errors
/// 400 and 413 for a request that cannot be understood, 403 when the key could do more than the
/// caller, 409 when the caller has too many, 503 when the database is away.
#[utoipa::path(
    post,
    path = "/api/keys",
    operation_id = "createApiKey",
    tag = "keys",
    request_body = ApiKeyRequest,
    responses(
        (status = 201, description = "The key, which nobody sees again", body = Made),
        (status = 409, description = "The caller has as many keys as one may have"),
        (status = 413, description = "The body is longer than 64 KiB"),
    ),
)]
pub async fn make(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    body: Body,
) -> Result<Response, Failure> {
    let request = KeyRequest::parse(&body::read(body, MAX_BODY_BYTES).await?)?;
    let (key, text) = state.key_ring.make(&identity, request).await?;
    let made = Made {
        key: text.expose_secret().to_owned(),
        listed: shown(key),
    };
    let mut response = (StatusCode::CREATED, Json(made)).into_response();
    // Nobody sees the key again, not even who sends the same request again.
    response.extensions_mut().insert(Unkept);
    Ok(response)
}

/// The caller's keys, newest first. None of them can be seen again.
///
/// # Errors
/// 400 for a bad or unknown parameter, 503 when the database is away.
#[utoipa::path(
    get,
    path = "/api/keys",
    operation_id = "listApiKeys",
    tag = "keys",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<Shown>)),
)]
pub async fn list(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Shown>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["limit", "cursor"])?;
    let query = PageQuery::of(&mut query);
    let limit = query.limit()?;
    let after = query.after::<(i64, String)>()?;
    let keys = state
        .store
        .api_keys(Some(&identity.subject), after, limit as i64 + 1)
        .await?;
    let items = keys.into_iter().map(shown).collect();
    Ok(Json(Page::of(items, limit, |item: &Shown| {
        (item.key.created_micros, item.key.id.clone())
    })))
}

/// Everybody's keys, newest first. `DELETE /api/keys/{id}` ends one.
///
/// # Errors
/// 400 for a bad or unknown parameter, 403 for everybody but administrators, 503 when the database is
/// away.
#[utoipa::path(
    get,
    path = "/api/admin/keys",
    operation_id = "listKeysOfOthers",
    tag = "keys",
    params(
        ("subject" = Option<String>, Query, description = "Those of the person with this `sub` only"),
        PageQuery,
    ),
    responses((status = 200, description = "A page", body = Page<Owned>)),
)]
pub async fn list_all(
    State(state): State<Arc<AppState>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Owned>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["subject", "limit", "cursor"])?;
    let subject = query.take("subject");
    let query = PageQuery::of(&mut query);
    let limit = query.limit()?;
    let after = query.after::<(i64, String)>()?;
    let keys = state
        .store
        .api_keys(subject.as_deref(), after, limit as i64 + 1)
        .await?;
    let items = keys.into_iter().map(|key| Owned {
        owner: key.owner.clone(),
        owner_name: key.owner_name.clone(),
        listed: shown(key),
    });
    Ok(Json(Page::of(items.collect(), limit, |item: &Owned| {
        let key = &item.listed.key;
        (key.created_micros, key.id.clone())
    })))
}

/// Deletes a key; administrators may delete anybody's.
///
/// # Errors
/// 404 when there is none that the caller may delete, 503 when the database is away.
#[utoipa::path(
    delete,
    path = "/api/keys/{id}",
    operation_id = "deleteApiKey",
    tag = "keys",
    params(("id" = String, Path, description = "Identity of the key")),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 404, description = "There is no such key for the caller"),
    ),
)]
pub async fn remove(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    state.key_ring.delete(&identity, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
