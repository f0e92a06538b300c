//! The end of conversations: those that were deleted and not brought back, and, where the platform
//! says so, those that were not used for long.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::store::{Store, StoreError};

/// Conversations per statement; their messages go with them.
const BATCH: i64 = 20;
/// How often it is looked for them.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Ends conversations until `stop`; those that were not used for `days`, if it says a number.
pub async fn keep(store: Store, days: Option<u32>, stop: CancellationToken) {
    loop {
        match purge(&store, days).await {
            Ok(0) => {}
            Ok(purged) => tracing::info!(purged, "conversations came to their end"),
            Err(error) => {
                tracing::warn!(error = chain(&error), "conversations stay beyond their end")
            }
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Ends all whose end has come; says how many.
///
/// # Errors
/// When the database fails.
pub async fn purge(store: &Store, days: Option<u32>) -> Result<u64, StoreError> {
    let days = days.map(|days| i32::try_from(days).unwrap_or(i32::MAX));
    let mut all = 0;
    loop {
        let purged = store.purge_conversations(days, BATCH).await?;
        all += purged;
        if purged < BATCH.unsigned_abs() {
            return Ok(all);
        }
    }
}
