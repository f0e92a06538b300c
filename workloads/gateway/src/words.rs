//! Gathering the words of messages, in the background: all replicas together, each message once.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::store::{Store, StoreError};

/// Messages per statement. The words of a long one take some 20 ms.
const BATCH: i64 = 20;
/// While there are many, this part of the time goes into them: one second of so many.
const SHARE: u32 = 10;
/// A new message is found after this long at the latest, while there are few.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Gathers words until `stop`.
pub async fn keep(store: Store, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let began = Instant::now();
        let pause = match store.gather_words(BATCH).await {
            // The rest of the time is for those who wait: there are many after an upgrade or a rush.
            Ok(gathered) if gathered > 0 => began.elapsed() * (SHARE - 1),
            Ok(_) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(error = chain(&error), "new messages are not found yet");
                LOOK_EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Gathers all that wait; says how many there were.
///
/// # Errors
/// When the database fails.
pub async fn gather(store: &Store) -> Result<i64, StoreError> {
    let mut all = 0;
    loop {
        let gathered = store.gather_words(BATCH).await?;
        if gathered == 0 {
            return Ok(all);
        }
        all += gathered;
    }
}
