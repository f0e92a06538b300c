//! Downloads that are written while they are read: one conversation, the file of a document, or
//! everything that the gateway holds of a person.
//!
//! A reader is given a piece at a time, and the next is read when there is room for it. So memory
//! stays flat and no connection to a store waits for a slow reader. What cannot be written to
//! its end breaks off as a transfer, and never looks like a whole. So does what is still being
//! taken when its caller is signed out, its token ends or it loses a group: nothing more of it is read or given.

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
use crate::identity::Identity;
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

/// Answers with a file that `write` writes, as long as the caller may have it.
///
/// # Errors
/// 500 when the media type cannot stand in a header.
pub fn download<W, F>(
    state: &Arc<AppState>,
    identity: &Identity,
    file: File<'_>,
    write: W,
) -> Result<Response, Failure>
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
    let follow = Arc::new(state.watch.follow(identity));
    let followed = Arc::clone(&follow);
    let (pipe, body) = pipe::open(state.ending.clone(), async move {
        followed.over().await;
    });
    let writing = write(pipe);
    state.tasks.spawn(async move {
        let written = tokio::select! {
            biased;
            // Whatever the writer waits for then: a slow reader, or the next part of a store.
            failure = follow.over() => Err(Stop::Over { code: failure.code }),
            written = writing => written,
        };
        match written {
            Ok(()) | Err(Stop::Left) => {}
            Err(stop) => tracing::warn!(error = crate::error::chain(&stop), "a download broke off"),
        }
    });
    Ok((headers, body).into_response())
}
