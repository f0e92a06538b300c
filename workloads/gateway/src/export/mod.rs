//! Downloads that are written while they are read: one conversation, the file of a document, or
//! everything that the gateway holds of a person.
//!
//! A reader is given a piece at a time, and the next is read when there is room for it. So memory
//! stays flat and no connection to a store waits for a slow reader. What cannot be written to
//! its end breaks off as a transfer, and never looks like a whole.

mod attachment;
pub mod conversation;
pub mod document;
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
    pub media_type: &'f str,
    /// Its name.
    pub name: &'f str,
}

/// Answers with a file that `write` writes.
///
/// # Errors
/// 500 when the media type cannot stand in a header.
pub fn download<W, F>(state: &Arc<AppState>, file: File<'_>, write: W) -> Result<Response, Failure>
where
    W: FnOnce(Pipe) -> F,
    F: Future<Output = Result<(), Stop>> + Send + 'static,
{
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Failure::internal());
    let headers = [
        (CONTENT_TYPE, value(file.media_type)?),
        (
            CONTENT_DISPOSITION,
            value(&attachment::attachment(file.name))?,
        ),
    ];
    let (pipe, body) = pipe::open(state.ending.clone());
    let writing = write(pipe);
    state.tasks.spawn(async move {
        match writing.await {
            Ok(()) | Err(Stop::Left) => {}
            Err(stop) => tracing::warn!(error = crate::error::chain(&stop), "a download broke off"),
        }
    });
    Ok((headers, body).into_response())
}
