//! The part of an erasure that the orchestrator does: what people were asked to consent to, how they
//! decided, and its runs.
//!
//! It is noted before the orchestrator is asked, and the note goes when that says that it is done. So
//! nobody is told that they are erased as long as they are not, and they are in the end, though the
//! orchestrator is away and nobody asks again.

use std::time::Duration;

use lotoai_contracts::v1::ErasePersonResponse;
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::failure::Failure;
use crate::orchestrator::Orchestrator;
use crate::state::AppState;
use crate::store::{Store, StoreError};

/// How often what is unfinished is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(60);

/// Has the orchestrator erase a person; says how much is gone.
///
/// # Errors
/// 503 when the database or the orchestrator is away. It is tried again by itself in the second case.
pub(super) async fn erase(state: &AppState, subject: &str) -> Result<ErasePersonResponse, Failure> {
    state.store.note_erasure(subject).await?;
    let erased = state.orchestrator.erase_person(subject).await;
    let erased = erased.inspect_err(log).map_err(|_| {
        Failure::unavailable(
            "orchestrator_unavailable",
            "the orchestrator, which holds a part of it, cannot be reached or failed: ask again, to \
             go on; its part is tried again by itself, too",
        )
    })?;
    state.store.close_erasure(subject).await?;
    Ok(erased)
}

fn log(failure: &Failure) {
    tracing::warn!(code = %failure.code, "the orchestrator has not erased a person yet");
}

/// Finishes what is unfinished until `stop`; replicas may do so at once.
pub async fn keep(store: Store, orchestrator: Orchestrator, stop: CancellationToken) {
    loop {
        let finished = tokio::select! {
            finished = finish(&store, &orchestrator) => finished,
            () = stop.cancelled() => return,
        };
        match finished {
            Ok(0) => {}
            Ok(finished) => tracing::info!(finished, "unfinished erasures are finished"),
            Err(error) => {
                tracing::warn!(error = chain(&error), "unfinished erasures cannot be read");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Finishes what is unfinished, until one fails, which then stands behind the others; says how many
/// are finished.
///
/// # Errors
/// When the database fails.
pub(crate) async fn finish(store: &Store, orchestrator: &Orchestrator) -> Result<u64, StoreError> {
    let mut finished = 0;
    while let Some(subject) = store.pending_erasure().await? {
        let erased = orchestrator.erase_person(&subject).await;
        if erased.inspect_err(log).is_err() {
            store.put_off_erasure(&subject).await?;
            break;
        }
        store.close_erasure(&subject).await?;
        finished += 1;
    }
    Ok(finished)
}
