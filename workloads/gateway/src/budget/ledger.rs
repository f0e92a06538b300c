//! Background work on spendings: settled ones reach the counters and the usage, forgotten ones
//! end with their lease, and what is over is deleted.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::outbox::Wake;
use crate::store::{Store, StoreError};

/// Spendings per statement.
const BATCH: i32 = 1_000;
/// After a question was settled, others have this long to join it.
const GATHER: Duration = Duration::from_secs(1);
/// What another replica left behind is found after this long at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often what is over is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Keeps the books until `stop`.
pub async fn keep(store: Store, wake: Wake, stop: CancellationToken) {
    let mut swept = tokio::time::Instant::now();
    while !stop.is_cancelled() {
        if let Err(error) = fold(&store).await {
            tracing::warn!(
                error = chain(&error),
                "spendings wait: they cannot be folded"
            );
        }
        if swept.elapsed() >= SWEEP_EVERY {
            swept = tokio::time::Instant::now();
            sweep(&store).await;
        }
        tokio::select! {
            () = wake.wait() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => {}
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Folds all that there is; says how many.
///
/// # Errors
/// When the database fails.
pub async fn fold(store: &Store) -> Result<i64, StoreError> {
    let mut folded = 0;
    loop {
        let batch = store.fold_spendings(BATCH).await?;
        folded += batch;
        if batch < i64::from(BATCH) {
            return Ok(folded);
        }
    }
}

async fn sweep(store: &Store) {
    if let Err(error) = store.sweep_windows().await {
        tracing::warn!(error = chain(&error), "ended budgets were not deleted");
    }
    if let Err(error) = store.sweep_idempotency_keys().await {
        tracing::warn!(
            error = chain(&error),
            "ended idempotency keys were not deleted"
        );
    }
    if let Err(error) = store.sweep_streams().await {
        tracing::warn!(error = chain(&error), "old streams were not deleted");
    }
    if let Err(error) = store.sweep_approvals().await {
        tracing::warn!(error = chain(&error), "old approvals were not deleted");
    }
}
