//! The end of what is kept for a time only: conversations that were deleted and not brought back, and,
//! where the platform says so, those that were not used for long; usage by day.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::RetentionArgs;
use crate::error::chain;
use crate::store::{Store, StoreError};

/// Conversations per statement; their messages go with them.
const BATCH: i64 = 20;
/// Rows of usage per statement.
const USAGE_BATCH: i64 = 1_000;
/// How often it is looked for what has come to its end.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Ends what has come to its end until `stop`.
pub async fn keep(store: Store, retention: RetentionArgs, stop: CancellationToken) {
    loop {
        let conversations = purge(&store, retention.conversation_retention_days).await;
        log("conversations", conversations);
        let usage = purge_usage(&store, retention.usage_retention_days).await;
        log("rows of usage", usage);
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn log(what: &'static str, purged: Result<u64, StoreError>) {
    match purged {
        Ok(0) => {}
        Ok(purged) => tracing::info!(what, purged, "some came to their end"),
        Err(error) => tracing::warn!(what, error = chain(&error), "some stay beyond their end"),
    }
}

/// Ends all conversations whose end has come; says how many.
///
/// # Errors
/// When the database fails.
pub async fn purge(store: &Store, days: Option<u32>) -> Result<u64, StoreError> {
    let days = days.map(|days| i32::try_from(days).unwrap_or(i32::MAX));
    all(BATCH, || store.purge_conversations(days, BATCH)).await
}

/// Deletes the usage by day that is older than so many days; says how many rows.
///
/// # Errors
/// When the database fails.
pub async fn purge_usage(store: &Store, days: u16) -> Result<u64, StoreError> {
    let days = i32::from(days);
    all(USAGE_BATCH, || store.purge_usage(days, USAGE_BATCH)).await
}

/// Goes on step by step until one has less to do than it may.
async fn all<F>(most: i64, step: impl Fn() -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<u64, StoreError>>,
{
    let mut all = 0;
    loop {
        let done = step().await?;
        all += done;
        if done < most.unsigned_abs() {
            return Ok(all);
        }
    }
}
