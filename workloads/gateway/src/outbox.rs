//! The relay from the outbox table to the broker. An event is deleted only after the broker has
//! confirmed it, so a crash at any point can repeat an event but never lose one.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lotoai_contracts::events::{Event as _, UsageRecorded};
use lotoai_kit::rabbitmq::{Message, Rabbitmq};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::store::{OutboxRow, Store, StoreError};

/// Events per transaction. Their locks are held while the broker confirms.
const BATCH: i64 = 200;
/// After an event was committed, others have this long to join it.
const GATHER: Duration = Duration::from_millis(50);
/// Events of a replica that died are found after this long at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After a failure, before the next attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// Says that an event was committed.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// There is something to relay.
    pub fn now(&self) {
        self.0.notify_one();
    }

    /// Waits until there is.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

/// Where events go.
pub trait Publish: Send + Sync + 'static {
    /// Publishes events in their order. Says how many from the first on are safe, and why the next is
    /// not.
    fn publish(
        &self,
        events: &[OutboxRow],
    ) -> impl Future<Output = (usize, Result<(), String>)> + Send;
}

impl Publish for Rabbitmq {
    async fn publish(&self, events: &[OutboxRow]) -> (usize, Result<(), String>) {
        let parcels = parcels(events);
        let messages: Vec<Message<'_>> = parcels.iter().map(Parcel::message).collect();
        let (stored, outcome) = self.publish_all(&messages).await;
        let stored = parcels.iter().take(stored).map(|parcel| parcel.events);
        (stored.sum(), outcome.map_err(|error| chain(&error)))
    }
}

/// What becomes one message: an event, or the records of usage that lie beside each other. Every
/// question leaves such a record, and a message costs more than all else that is done with it.
struct Parcel<'a> {
    first: &'a OutboxRow,
    events: usize,
    body: Cow<'a, [u8]>,
}

impl<'a> Parcel<'a> {
    fn new(first: &'a OutboxRow, others: &'a [OutboxRow]) -> Self {
        let body = if others.is_empty() {
            Cow::Borrowed(first.body.as_slice())
        } else {
            let records = std::iter::once(first).chain(others);
            let bodies = records.map(|record| record.body.as_slice());
            Cow::Owned(UsageRecorded::together(bodies))
        };
        Self {
            first,
            events: 1 + others.len(),
            body,
        }
    }

    fn message(&self) -> Message<'_> {
        Message {
            routing_key: &self.first.routing_key,
            message_id: &self.first.message_id,
            body: &self.body,
        }
    }
}

fn parcels(events: &[OutboxRow]) -> Vec<Parcel<'_>> {
    let is_usage = |event: &OutboxRow| event.routing_key == UsageRecorded::NAME;
    let alike = events.chunk_by(|one, next| is_usage(one) && is_usage(next));
    alike
        .filter_map(<[_]>::split_first)
        .map(|(first, others)| Parcel::new(first, others))
        .collect()
}

/// Relays events until `stop`.
pub async fn relay<P: Publish>(store: Store, broker: P, wake: Wake, stop: CancellationToken) {
    let mut counted: Option<Instant> = None;
    while !stop.is_cancelled() {
        let pause = match relay_batch(&store, &broker).await {
            Ok(Progress {
                relayed,
                failed: None,
            }) if relayed == BATCH as usize => Duration::ZERO,
            Ok(Progress { failed: None, .. }) => {
                // Nothing waits for this replica, and counting that would read what was deleted lately.
                tell_backlog(0);
                LOOK_EVERY
            }
            Ok(Progress {
                failed: Some(error),
                ..
            }) => {
                tracing::warn!(error, "an event waits: the broker did not confirm it");
                PAUSE
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "the outbox cannot be read");
                PAUSE
            }
        };
        if pause < LOOK_EVERY
            && counted.is_none_or(|at| at.elapsed() >= LOOK_EVERY)
            && let Ok(backlog) = store.outbox_backlog().await
        {
            counted = Some(Instant::now());
            tell_backlog(backlog);
        }
        if pause.is_zero() {
            continue;
        }
        tokio::select! {
            () = wake.wait() => {}
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = stop.cancelled() => {}
        }
    }
}

fn tell_backlog(events: i64) {
    metrics::gauge!("lotoai_gateway_outbox_backlog").set(events as f64);
}

/// What one pass did.
#[derive(Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events that are with the broker now.
    pub relayed: usize,
    /// Why it stopped early.
    pub failed: Option<String>,
}

/// Relays up to [`BATCH`] events in order. What was confirmed before a failure is deleted.
///
/// # Errors
/// When the database fails; events that were confirmed may then be published again.
pub async fn relay_batch<P: Publish>(store: &Store, broker: &P) -> Result<Progress, StoreError> {
    let mut change = store.begin().await?;
    let rows = change.lock_outbox(BATCH).await?;
    let (stored, outcome) = if rows.is_empty() {
        (0, Ok(()))
    } else {
        broker.publish(&rows).await
    };
    let confirmed: Vec<i64> = rows.iter().take(stored).map(|row| row.id).collect();
    if !confirmed.is_empty() {
        change.delete_outbox(&confirmed).await?;
        metrics::counter!("lotoai_gateway_events_relayed_total").increment(confirmed.len() as u64);
    }
    // Also when there is nothing to delete: a dropped transaction keeps its locks a little longer.
    change.commit().await?;
    Ok(Progress {
        relayed: confirmed.len(),
        failed: outcome.err(),
    })
}

#[cfg(test)]
mod tests {
    use lotoai_contracts::events::DocumentDeleted;

    use super::*;

    fn row(id: i64, routing_key: &str, body: &str) -> OutboxRow {
        OutboxRow {
            id,
            message_id: format!("m{id}"),
            routing_key: routing_key.to_owned(),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn records_of_usage_go_together_and_nothing_else_does() {
        let rows = [
            row(1, UsageRecorded::NAME, "1"),
            row(2, UsageRecorded::NAME, "2"),
            row(3, DocumentDeleted::NAME, "3"),
            row(4, DocumentDeleted::NAME, "4"),
            row(5, UsageRecorded::NAME, "5"),
        ];
        let parcels = parcels(&rows);
        let told = parcels.iter().map(|parcel| {
            let message = parcel.message();
            let body = std::str::from_utf8(message.body).unwrap();
            (message.message_id, message.routing_key, body, parcel.events)
        });
        let (usage, deleted) = (UsageRecorded::NAME, DocumentDeleted::NAME);
        let expected = [
            ("m1", usage, "[1,2]", 2),
            ("m3", deleted, "3", 1),
            ("m4", deleted, "4", 1),
            ("m5", usage, "5", 1),
        ];
        assert!(told.eq(expected));
    }
}
