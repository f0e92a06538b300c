//! Downloads that are written while they are read from the database: one conversation, or everything
//! that the gateway holds of a person.
//!
//! A reader is given a piece at a time, and the next is read when there is room for it. So memory
//! stays flat and no connection to the database waits for a slow reader. What cannot be written to
//! its end breaks off as a transfer, and never looks like a whole.

pub mod conversation;
mod markdown;
pub mod person;
mod pipe;

use std::sync::Arc;

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

use crate::failure::Failure;
use crate::state::AppState;

pub use pipe::{Pipe, Stop};

/// A file that is downloaded.
#[derive(Debug, Clone, Copy)]
pub struct File<'f> {
    /// Its media type.
    pub media_type: &'static str,
    /// Its name, of letters, digits, dots and hyphens.
    pub name: &'f str,
}

/// Answers with a file that `write` writes.
///
/// # Errors
/// 500 when the name cannot stand in a header.
pub fn download<W, F>(state: &Arc<AppState>, file: File<'_>, write: W) -> Result<Response, Failure>
where
    W: FnOnce(Pipe) -> F,
    F: Future<Output = Result<(), Stop>> + Send + 'static,
{
    let disposition: HeaderValue = format!("attachment; filename=\"{}\"", file.name)
        .parse()
        .map_err(|_| Failure::internal())?;
    let (pipe, body) = pipe::open(state.ending.clone());
    let writing = write(pipe);
    state.tasks.spawn(async move {
        match writing.await {
            Ok(()) | Err(Stop::Left) => {}
            Err(stop) => tracing::warn!(error = crate::error::chain(&stop), "an export broke off"),
        }
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(file.media_type)),
        (CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, body).into_response())
}
