//! Events to inserts. An event is acknowledged to the broker only after ClickHouse has it, so what
//! waits here is bounded by the consumer's prefetch and is delivered again after a crash.

use std::time::Duration;

use lotoai_contracts::events::UsageRecorded;
use tokio::sync::{mpsc, oneshot};

use crate::clickhouse::ClickHouse;
use crate::usage;

/// An event and whoever waits to hear that it is stored.
struct Waiting {
    event: UsageRecorded,
    stored: oneshot::Sender<bool>,
}

/// Takes events and inserts them together.
#[derive(Debug, Clone)]
pub struct Batcher {
    queue: mpsc::Sender<Waiting>,
}

impl Batcher {
    /// Starts a batcher of at most `size` events, which wait at most `patience` for each other.
    /// The returned future does the work and ends when every [`Batcher`] is dropped.
    pub fn start(
        clickhouse: ClickHouse,
        size: usize,
        patience: Duration,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, mut waiting) = mpsc::channel::<Waiting>(size);
        let work = async move {
            while let Some(first) = waiting.recv().await {
                let mut batch = vec![first];
                let until = tokio::time::Instant::now() + patience;
                while batch.len() < size {
                    match tokio::time::timeout_at(until, waiting.recv()).await {
                        Ok(Some(next)) => batch.push(next),
                        Ok(None) | Err(_) => break,
                    }
                }
                store(&clickhouse, batch).await;
            }
        };
        (Self { queue }, work)
    }

    /// Returns when all of the events are stored (`true`), or all were tried and one could not be
    /// (`false`).
    pub async fn add_all(&self, events: &[UsageRecorded]) -> bool {
        let adding = events.iter().map(|event| self.add(event.clone()));
        let stored = futures::future::join_all(adding).await;
        stored.into_iter().all(|is_stored| is_stored)
    }

    /// Returns when the event is stored (`true`) or could not be (`false`).
    async fn add(&self, event: UsageRecorded) -> bool {
        let (stored, answer) = oneshot::channel();
        if self.queue.send(Waiting { event, stored }).await.is_err() {
            return false;
        }
        answer.await.unwrap_or(false)
    }
}

async fn store(clickhouse: &ClickHouse, batch: Vec<Waiting>) {
    let count = batch.len();
    let (events, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|waiting| (waiting.event, waiting.stored))
        .unzip();
    let is_stored = match usage::rows(&events) {
        Ok(rows) => match clickhouse.insert(usage::INSERT, rows).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(count, error = %snafu::Report::from_error(&error), "events wait for ClickHouse");
                false
            }
        },
        Err(error) => {
            tracing::error!(count, error = %error, "events cannot be written as JSON");
            false
        }
    };
    let outcome = if is_stored { "stored" } else { "failed" };
    metrics::counter!("lotoai_analytics_events_total", "outcome" => outcome)
        .increment(count as u64);
    for answer in answers {
        // The consumer may have gone away; its message then comes again.
        let _ = answer.send(is_stored);
    }
}
