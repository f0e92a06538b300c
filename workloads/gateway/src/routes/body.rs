//! Bodies of requests, with a limit.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::StatusCode;

use crate::failure::Failure;

/// Reads a body to its end.
///
/// # Errors
/// 413 when it is longer than `limit` bytes, 400 when it breaks off.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Failure> {
    to_bytes(body, limit).await.map_err(|error| {
        if crate::error::chain(&error).contains("length limit exceeded") {
            Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "request_too_large",
                format!("the request body is longer than {limit} bytes; send less"),
            )
        } else {
            Failure::new(
                StatusCode::BAD_REQUEST,
                "invalid_body",
                "the request body broke off; send it again as a whole",
            )
        }
    })
}
