//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use super::warn;
use crate::domain::embedding::{self, Embedded};
use crate::domain::embedding_request::{EmbeddingRequest, MAX_BODY_BYTES};
use crate::failure::Failure;
use crate::identity::SignedIn;
use crate::openapi::bodies::embeddings as bodies;
use crate::routes::body;
use crate::state::AppState;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Turns texts into vectors.
///
/// # Errors
/// 400 and 413 for a request that cannot be understood or that the model cannot do, 404 for a model
/// that makes no vectors, 429 for a budget that is used up or a model that has too much to do, 503
/// when something that is needed is away.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    operation_id = "createEmbedding",
    tag = "embeddings",
    request_body = bodies::EmbeddingRequest,
    responses(
        (status = 200, description = "The vectors", body = bodies::EmbeddingList),
        (status = 404, description = "There is no such embedding model for the caller"),
        (status = 413, description = "The body is longer than 4 MiB"),
    ),
)]
pub async fn create(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    body: Body,
) -> Result<Response, Failure> {
    let request = EmbeddingRequest::parse(&body::read(body, MAX_BODY_BYTES).await?)?;
    let Embedded { body, warnings } = embedding::embed(state, &identity, &request).await?;
    let mut response = ([(CONTENT_TYPE, JSON)], body).into_response();
    warn(&mut response, &warnings);
    Ok(response)
}
