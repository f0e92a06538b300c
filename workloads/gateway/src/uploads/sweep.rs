//! The end of uploads that nobody goes on with, and of the parts of all that are over.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::count;
use crate::error::chain;
use crate::objects::{MAX_FAILURES, Objects};
use crate::store::{Store, StoreError};

/// Uploads per statement.
const BATCH: i64 = 20;
/// Uploads per transaction whose locks are held while their parts are deleted.
const SWEPT: i64 = 4;
/// How often it is looked for them.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Ends uploads that have expired, and deletes parts that nothing needs, until `stop`.
pub async fn sweep(store: Store, objects: Objects, stop: CancellationToken) {
    loop {
        match expire_all(&store).await {
            Ok(0) => {}
            Ok(ended) => tracing::info!(ended, "uploads that nobody went on with have expired"),
            Err(error) => {
                tracing::warn!(error = chain(&error), "uploads stay beyond their end");
            }
        }
        match sweep_batch(&store, &objects).await {
            // There may be more of them.
            Ok(swept) if swept == SWEPT as usize && !stop.is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(error, "uploads that are over cannot be read");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Ends all uploads that have expired; says how many.
pub(crate) async fn expire_all(store: &Store) -> Result<u64, StoreError> {
    let mut all = 0;
    loop {
        let ended = store.expire_uploads(BATCH).await?;
        all += ended;
        if ended < BATCH.unsigned_abs() {
            count("expired", all);
            return Ok(all);
        }
    }
}

/// Deletes the parts of some uploads that are over; says how many were tried. One whose parts cannot
/// be deleted is put off, so that it does not keep the others.
pub(crate) async fn sweep_batch(store: &Store, objects: &Objects) -> Result<usize, StoreError> {
    let mut change = store.begin().await?;
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for id in change.lock_discarded_uploads(SWEPT).await? {
        match objects.delete_parts(id).await {
            Ok(()) => gone.push(id),
            Err(error) => {
                tracing::warn!(error = chain(&error), "parts were not deleted yet");
                kept.push(id);
            }
        }
        if kept.len() == MAX_FAILURES {
            break;
        }
    }
    change.forget_discarded_uploads(&gone).await?;
    change.put_off_discarded_uploads(&kept).await?;
    change.commit().await?;
    Ok(gone.len() + kept.len())
}
