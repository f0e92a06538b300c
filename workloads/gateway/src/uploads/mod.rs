//! Documents that arrive in pieces, over as many connections and replicas as it takes.
//!
//! What of a file is safe is said by one row in PostgreSQL; its bytes are parts in the object store,
//! each an object of its own. Whoever writes holds the row's lease and names it with every change,
//! so there is one writer, wherever it runs. When all bytes are there they are put together by the
//! very steps that take a document in one request ([`crate::intake`]), and the row says in the same
//! transaction that it has become one. A process may die anywhere in between: the next request of
//! the client goes on from what the row says.

mod assembling;
mod sweep;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;
use uuid::Uuid;

pub use sweep::sweep;
#[cfg(test)]
pub(crate) use sweep::{expire_all, sweep_batch};
#[cfg(test)]
pub(crate) use writing::PART_BYTES;

use crate::admission::overloaded;
use crate::error::chain;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::state::AppState;
use crate::store::{Leased, StoredUpload};

/// Requests that write at a time; each holds a part of its file in memory.
const WRITERS: usize = 32;
/// Files that are put together at a time. The writer to the object store holds much of each.
const ASSEMBLERS: usize = 2;
/// Longest wait for a place of either kind.
const WAIT: Duration = Duration::from_secs(10);

/// Places for the work on uploads.
#[derive(Debug, Clone)]
pub struct Uploads {
    writers: Arc<Semaphore>,
    assemblers: Arc<Semaphore>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            writers: Arc::new(Semaphore::new(WRITERS)),
            assemblers: Arc::new(Semaphore::new(ASSEMBLERS)),
        }
    }
}

async fn place(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Failure> {
    match tokio::time::timeout(WAIT, Arc::clone(of).acquire_owned()).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(overloaded("uploads")),
    }
}

/// Counts what happened to uploads.
pub fn count(event: &'static str, uploads: u64) {
    metrics::counter!("lotoai_gateway_uploads_total", "event" => event).increment(uploads);
}

/// The right to write to an upload, as long as nobody has taken the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    upload: Uuid,
    id: Uuid,
}

impl Lease {
    /// The lease of an upload of which so many bytes are safe.
    async fn take(state: &AppState, upload: &StoredUpload) -> Result<Self, Failure> {
        let lease = Self {
            upload: upload.id,
            id: Uuid::now_v7(),
        };
        let taken = state
            .store
            .lease_upload(lease.upload, lease.id, upload.received);
        match taken.await? {
            Leased::Yes => Ok(lease),
            Leased::InUse => Err(busy()),
            Leased::TooMany => Err(too_many()),
        }
    }

    /// Says that the work goes on.
    ///
    /// # Errors
    /// 423 when another writer has taken the place, 503 when the database is away.
    async fn renew(self, state: &AppState) -> Result<(), Failure> {
        if state.store.renew_upload(self.upload, self.id).await? {
            Ok(())
        } else {
            Err(busy())
        }
    }

    /// Lets the next one begin at once.
    async fn release(self, state: &AppState) {
        if let Err(error) = state.store.release_upload(self.upload, self.id).await {
            let error = chain(&error);
            tracing::warn!(
                error,
                "the lease of an upload was not given back; it runs out"
            );
        }
    }
}

/// 423 while another request writes, or when one has taken this one's place.
fn busy() -> Failure {
    let mut failure = Failure::new(
        StatusCode::LOCKED,
        "upload_in_use",
        "another request writes to this upload, or did until a moment ago; ask for its \
         Upload-Offset in a moment, and go on from there",
    );
    failure.retry_after = Some(1);
    failure
}

/// 429 for one upload more at a time than a person may write to.
fn too_many() -> Failure {
    let mut failure = overloaded("writers");
    "you write to as many uploads as one person may at a time; go on with this one when another \
     request has ended"
        .clone_into(&mut failure.message);
    failure
}

/// Adds the bytes of a request to an unfinished upload, whose next byte is the first of them, and
/// makes it a document when they are the last; gives the upload as it is then. What came of a body
/// that broke off or stands still is kept.
///
/// # Errors
/// 423 when another request writes, 413 for more bytes than were announced, 429 when too many write
/// or the person writes to too many, 401 and 403 when the caller is signed out, its token ends or it
/// loses a group while they come, 503 when the object store or the database is away; and all that
/// [`complete`] refuses.
pub async fn append(
    state: &Arc<AppState>,
    identity: &Arc<Identity>,
    upload: StoredUpload,
    body: Body,
) -> Result<StoredUpload, Failure> {
    let (here, identity) = (Arc::clone(state), Arc::clone(identity));
    let follow = state.watch.follow(&identity);
    on_its_own(state, async move {
        let state = here;
        let _place = place(&state.uploads.writers).await?;
        let lease = Lease::take(&state, &upload).await?;
        let outcome = async {
            let upload = tokio::select! {
                biased;
                // What is stored of it by then stays, for whom it belongs to.
                failure = follow.over() => return Err(failure),
                upload = Box::pin(writing::write(&state, upload, lease, body)) => upload?,
            };
            if upload.received < upload.size {
                return Ok(upload);
            }
            Box::pin(assembling::assemble(&state, &identity, upload, lease)).await
        };
        let outcome = outcome.await;
        lease.release(&state).await;
        outcome
    })
    .await
}

/// Makes an upload whose bytes are all there a document, which a process that died did not.
///
/// # Errors
/// 423 when another request does so, 415 when the file is no text, 403 when the caller may not add
/// to its knowledge base any more, 503 when the object store or the database is away.
pub async fn complete(
    state: &Arc<AppState>,
    identity: &Arc<Identity>,
    upload: StoredUpload,
) -> Result<StoredUpload, Failure> {
    let (here, identity) = (Arc::clone(state), Arc::clone(identity));
    on_its_own(state, async move {
        let state = here;
        let lease = Lease::take(&state, &upload).await?;
        let outcome = Box::pin(assembling::assemble(&state, &identity, upload, lease)).await;
        lease.release(&state).await;
        outcome
    })
    .await
}

/// Runs work that must come to an end though its client has left: what arrived is stored then, and
/// the lease is given back.
async fn on_its_own(
    state: &AppState,
    work: impl Future<Output = Result<StoredUpload, Failure>> + Send + 'static,
) -> Result<StoredUpload, Failure> {
    let done = state.tasks.spawn(Box::pin(work.in_current_span())).await;
    done.unwrap_or_else(|_| Err(Failure::internal()))
}
