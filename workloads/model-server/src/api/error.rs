//! Errors in OpenAI's shape.

use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use lotoai_kit::http_error::{ApiError, Shape};
use snafu::Report;

use crate::engine::EngineError;

/// Seconds after which a refused caller may try again: about one short answer.
const RETRY_AFTER: u64 = 2;

/// A request that cannot be carried out as it stands.
pub(super) fn invalid(param: impl Into<String>, message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_value", message)
        .with_param(param)
        .with_shape(Shape::OpenAi)
}

/// The model is none of ours.
pub(super) fn unknown_model(asked: &str, have: &str) -> ApiError {
    let message = format!("the model {asked:?} does not exist here; use {have:?}");
    ApiError::new(StatusCode::NOT_FOUND, "model_not_found", message)
        .with_param("model")
        .with_shape(Shape::OpenAi)
}

/// A failure between the request and the model, as the caller sees it.
pub(super) fn from_engine(error: EngineError) -> ApiError {
    let message = error.to_string();
    let error = match error {
        EngineError::QueueFull { .. } => {
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
                .with_retry_after(RETRY_AFTER)
        }
        EngineError::ContextExceeded { .. } => {
            ApiError::new(StatusCode::BAD_REQUEST, "context_length_exceeded", message)
                .with_param("messages")
        }
        other => return failed(other),
    };
    error.with_shape(Shape::OpenAi)
}

/// A failure on the way to the vectors or the answer that the caller can do nothing about.
pub(super) fn failed(error: impl std::error::Error) -> ApiError {
    tracing::error!(error = %Report::from_error(error), "the model failed");
    let message = "the model failed; the server's log says why";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "model_failed", message)
        .with_shape(Shape::OpenAi)
}

pub(super) async fn no_such_route(uri: Uri) -> Response {
    let message = format!("{} does not exist here", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, "not_found", message).openai()
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Response {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
    .openai()
}
