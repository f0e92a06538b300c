//! Watches that begin again by themselves, each with pauses of its own.
//!
//! Needs no client. The machinery around the passes pauses all its watches together after the error
//! of any of them, longer each time: some fifteen watches that are cut at once, as when the API
//! server restarts, would come back over several minutes.

use std::time::Duration;

use futures::{Stream, StreamExt, future};
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{Event, Result};
use rand::Rng;

use crate::error::chain;

/// Pause after the first error.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause after repeated errors.
const LONGEST: Duration = Duration::from_secs(15);

/// Pauses that double, ± a fifth, so that watches which were cut together do not come back together.
struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        Some(pause.mul_f64(rand::rng().random_range(0.8..1.2)))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The events of a watch without its errors, which are logged.
pub fn steady<K>(
    watch: impl Stream<Item = Result<Event<K>>> + Send,
) -> impl Stream<Item = Result<Event<K>>> + Send
where
    K: Send,
{
    watch.backoff(Pauses::default()).filter_map(|event| {
        future::ready(match event {
            Ok(event) => Some(Ok(event)),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "a watch failed and is restarted");
                None
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_end_and_begin_anew() {
        let mut pauses = Pauses::default();
        let all: Vec<_> = pauses.by_ref().take(20).collect();
        assert!(all[0] < Duration::from_secs(1));
        assert!(all[19] > Duration::from_secs(10) && all[19] < Duration::from_secs(20));
        pauses.reset();
        assert!(
            pauses
                .next()
                .is_some_and(|pause| pause < Duration::from_secs(1))
        );
    }
}
