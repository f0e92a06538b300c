//! The document of the API: for programs, and as a page for people.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::domain::parameters::Parameters;
use crate::failure::Failure;
use crate::openapi::page::{Language, STYLE};
use crate::state::AppState;

/// This document.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    operation_id = "getOpenApi",
    tag = "docs",
    responses((status = 200, description = "OpenAPI 3.1", body = Value)),
)]
pub async fn document(State(state): State<Arc<AppState>>) -> Response {
    typed("application/json", state.docs.document())
}

/// This document as a page for people.
///
/// # Errors
/// 400 for a bad or unknown parameter.
#[utoipa::path(
    get,
    path = "/api/docs",
    operation_id = "getDocs",
    tag = "docs",
    params((
        "lang" = Option<String>, Query,
        description = "`en` or `es`; without it what the browser prefers",
    )),
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub async fn page(
    State(state): State<Arc<AppState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["lang"])?;
    let language = match query.take("lang") {
        Some(tag) => Language::of_tag(&tag)
            .ok_or_else(|| Failure::invalid("lang", "lang must be en or es"))?,
        None => {
            let preferred = headers.get(ACCEPT_LANGUAGE);
            let preferred = preferred.and_then(|value| value.to_str().ok());
            Language::preferred(preferred.unwrap_or_default())
        }
    };
    Ok(typed("text/html; charset=utf-8", state.docs.page(language)))
}

/// How the page looks.
#[utoipa::path(
    get,
    path = "/api/docs/style.css",
    operation_id = "getDocsStyle",
    tag = "docs",
    responses((
        status = 200, description = "The style sheet", body = String, content_type = "text/css",
    )),
)]
pub async fn style() -> impl IntoResponse {
    typed(
        "text/css; charset=utf-8",
        Bytes::from_static(STYLE.as_bytes()),
    )
}

fn typed(media_type: &'static str, body: Bytes) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response()
}
