//! Errors as HTTP answers, in the two shapes of LotoAI's public API, and bounded reading of what
//! another server answers.

use std::fmt;

use axum::Json;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use snafu::{ResultExt, Snafu};

use crate::request;

/// The form of an error body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// `{error:{message,type,param,code}}`, for `/v1`.
    OpenAi,
    /// RFC 9457 problem, for everything else.
    #[default]
    Problem,
}

impl Shape {
    /// The shape of errors under `path`.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        if path == "/v1" || path.starts_with("/v1/") {
            Self::OpenAi
        } else {
            Self::Problem
        }
    }
}

/// An error that a caller may see. Its message is a sentence with the fix and holds nothing that
/// the caller may not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    param: Option<String>,
    retry_after: Option<u64>,
    shape: Shape,
}

impl ApiError {
    /// `code` is stable and in snake case; `message` is a sentence for people.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let shape = Shape::default();
        Self {
            status,
            code,
            message,
            param: None,
            retry_after: None,
            shape,
        }
    }

    /// The field of the request that is at fault, for example `messages[0].role`.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The shape that [`IntoResponse`] uses.
    #[must_use]
    pub fn with_shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The field at fault.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }

    /// The answer in OpenAI's shape.
    #[must_use]
    pub fn openai(self) -> Response {
        let body = self.openai_body();
        self.response(body, "application/json")
    }

    /// `{error:{message,type,param,code}}`: also what a stream sends when it fails half-way.
    #[must_use]
    pub fn openai_body(&self) -> serde_json::Value {
        json!({ "error": {
            "message": self.message,
            "type": openai_type(self.status),
            "param": self.param,
            "code": self.code,
        }})
    }

    /// The answer as an RFC 9457 problem, with the id of the request that is being answered.
    #[must_use]
    pub fn problem(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.message,
            "code": self.code,
            "request_id": request::current_id(),
        });
        if let (Some(param), Some(fields)) = (&self.param, body.as_object_mut()) {
            fields.insert("param".to_owned(), param.as_str().into());
        }
        self.response(body, "application/problem+json")
    }

    fn response(self, body: serde_json::Value, media_type: &'static str) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.status.as_u16(),
            self.code,
            self.message
        )
    }
}

impl std::error::Error for ApiError {}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self.shape {
            Shape::OpenAi => self.openai(),
            Shape::Problem => self.problem(),
        }
    }
}

/// Why another server's body could not be read.
#[derive(Debug, Snafu)]
pub enum BodyError {
    /// It is larger than we take.
    #[snafu(display("the answer of {host} is larger than {max} bytes"))]
    TooLarge {
        /// The server.
        host: String,
        /// The limit in bytes.
        max: usize,
    },
    /// The connection broke.
    #[snafu(display("failed to read the answer of {host}"))]
    Read {
        /// The server.
        host: String,
        /// The cause.
        source: reqwest::Error,
    },
}

/// Reads the body of `response`, but never more than `max` bytes of it.
///
/// # Errors
/// The body is larger than `max`, or the connection breaks.
pub async fn read_body_capped(response: reqwest::Response, max: usize) -> Result<Bytes, BodyError> {
    let host = response.url().host_str().unwrap_or("the server").to_owned();
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).is_ok_and(|length| length > max) {
        return TooLargeSnafu { host, max }.fail();
    }
    let mut body = BytesMut::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.try_next().await.context(ReadSnafu { host: &host })? {
        if body.len() + chunk.len() > max {
            return TooLargeSnafu { host, max }.fail();
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests;
