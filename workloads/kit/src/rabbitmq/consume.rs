//! Consuming with bounded concurrency.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    BasicRejectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use snafu::Snafu;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{MAX_MESSAGE_BYTES, Rabbitmq, connection::Live};
use crate::{runtime, telemetry};

/// How long the broker may take to answer a request on a channel.
const RPC: Duration = Duration::from_secs(10);
/// The wait before the next attempt to subscribe.
const RESUBSCRIBE: Duration = Duration::from_secs(1);
/// The wait before a message that is to be tried again goes back: doubled with each attempt.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest such wait.
const RETRY_LONGEST: Duration = Duration::from_secs(120);

/// The queue cannot be consumed; reserved for faults that trying again cannot mend.
#[derive(Debug, Snafu)]
pub enum ConsumeError {
    /// The prefetch is zero, which the broker takes for "without limit".
    #[snafu(display("failed to consume {queue:?}: the prefetch must be at least 1"))]
    Prefetch {
        /// The queue.
        queue: &'static str,
    },
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event's name.
    pub routing_key: String,
    /// Identity of the message; the same when it is published or delivered again. Empty when the
    /// publisher gave none.
    pub message_id: String,
    /// The body.
    pub body: Vec<u8>,
    /// True when this message may have been handled, in part or in whole, before.
    pub redelivered: bool,
    /// How many times it came back, 0 at first. The queue dead-letters it after its limit.
    pub delivery_count: u32,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done and may be forgotten.
    Done,
    /// It could not be done now: it goes back to the queue, after 5, 10, 20, 40, 80 … 120 s by
    /// how often it came back already. The queue dead-letters it after its delivery limit.
    Retry,
    /// It can never be done: it goes to the dead-letter queue. The reason is logged and must hold
    /// no content.
    Reject(String),
}

impl Rabbitmq {
    /// Hands the messages of `queue` to `handler`, at most `prefetch` at a time, until the process
    /// stops; then waits for the handlers that are at work. Subscribes again whenever the
    /// connection, the channel or the subscription ends. A handler that panics counts as
    /// [`Outcome::Retry`].
    ///
    /// # Errors
    /// `prefetch` is 0.
    pub async fn consume<F, Fut>(
        &self,
        queue: &'static str,
        prefetch: u16,
        handler: F,
    ) -> Result<(), ConsumeError>
    where
        F: Fn(Delivery) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        snafu::ensure!(prefetch > 0, PrefetchSnafu { queue });
        let handler = Arc::new(handler);
        let work = TaskTracker::new();
        // The broker's own limit knows nothing of work that outlives its subscription. Its message comes
        // again at once, and without a place of its own would be handled, as would those behind it, before
        // that work is done.
        let places = Arc::new(Semaphore::new(usize::from(prefetch)));
        while !self.shutdown.is_cancelled() {
            let live = tokio::select! {
                live = self.live() => live,
                () = self.shutdown.cancelled() => None,
            };
            let Some(live) = live else { break };
            match self
                .subscribe(&live, queue, prefetch, &handler, &work, &places)
                .await
            {
                Ok(()) => tracing::info!(queue, "the subscription ended"),
                Err(reason) => tracing::warn!(queue, reason, "failed to consume; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(RESUBSCRIBE) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
        work.close();
        work.wait().await;
        Ok(())
    }

    async fn subscribe<F, Fut>(
        &self,
        live: &Live,
        queue: &'static str,
        prefetch: u16,
        handler: &Arc<F>,
        work: &TaskTracker,
        places: &Arc<Semaphore>,
    ) -> Result<(), String>
    where
        F: Fn(Delivery) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let channel = rpc(live.connection.create_channel()).await?;
        rpc(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions::default();
        let arguments = FieldTable::default();
        let subscribing = channel.basic_consume(queue.into(), "".into(), options, arguments);
        let mut consumer = rpc(subscribing).await?;
        tracing::info!(queue, prefetch, "consuming");
        loop {
            let next = tokio::select! {
                next = consumer.next() => next,
                () = self.shutdown.cancelled() => {
                    // Nothing new; what is at work is acknowledged on the channel when it is done.
                    return rpc(channel.basic_cancel(consumer.tag(), BasicCancelOptions::default())).await;
                }
            };
            let Some(delivery) = next else { return Ok(()) };
            let delivery = delivery.map_err(|error| runtime::chain(&error))?;
            let (handler, places) = (Arc::clone(handler), Arc::clone(places));
            let task = handle(delivery, handler, queue, places, self.shutdown.clone());
            // The channel closes with its last handle, and nothing can be acknowledged after that:
            // work that outlives this subscription keeps it open.
            let channel = channel.clone();
            work.spawn(async move {
                task.await;
                drop(channel);
            });
        }
    }
}

async fn rpc<T>(request: impl Future<Output = lapin::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(RPC, request).await {
        Ok(result) => result.map_err(|error| runtime::chain(&error)),
        Err(_) => Err(format!(
            "no answer from RabbitMQ within {} s",
            RPC.as_secs()
        )),
    }
}

async fn handle<F, Fut>(
    mut raw: lapin::message::Delivery,
    handler: Arc<F>,
    queue: &'static str,
    places: Arc<Semaphore>,
    shutdown: CancellationToken,
) where
    F: Fn(Delivery) -> Fut,
    Fut: Future<Output = Outcome>,
{
    let headers = raw.properties.headers().clone().unwrap_or_default();
    let delivery = Delivery {
        routing_key: raw.routing_key.to_string(),
        message_id: raw
            .properties
            .message_id()
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        body: std::mem::take(&mut raw.data),
        redelivered: raw.redelivered,
        delivery_count: delivery_count(&headers),
    };
    let count = delivery.delivery_count;
    let span = tracing::info_span!(
        "message",
        queue,
        routing_key = delivery.routing_key,
        message_id = delivery.message_id
    );
    telemetry::continue_trace(&span, &text_headers(&headers));
    let settle = async {
        let outcome = if delivery.body.len() > MAX_MESSAGE_BYTES {
            Outcome::Reject(format!(
                "the message is larger than {MAX_MESSAGE_BYTES} bytes"
            ))
        } else {
            let handling = AssertUnwindSafe(async {
                // They are never closed.
                let _place = places.acquire().await;
                handler(delivery).await
            });
            handling.catch_unwind().await.unwrap_or(Outcome::Retry)
        };
        settle(&raw, outcome, queue, count, &shutdown).await;
    };
    settle.instrument(span).await;
}

async fn settle(
    acker: &lapin::message::Delivery,
    outcome: Outcome,
    queue: &'static str,
    count: u32,
    shutdown: &CancellationToken,
) {
    let label = match &outcome {
        Outcome::Done => "done",
        Outcome::Retry => "retry",
        Outcome::Reject(_) => "reject",
    };
    metrics::counter!("lotoai_messages_total", "queue" => queue, "outcome" => label).increment(1);
    let settled = match outcome {
        Outcome::Done => rpc(acker.ack(BasicAckOptions::default())).await,
        Outcome::Retry => {
            let wait = retry_delay(count);
            tracing::warn!(
                count,
                wait_seconds = wait.as_secs(),
                "the message goes back"
            );
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => {}
            }
            if shutdown.is_cancelled() {
                // It is not the message's fault.
                let back = BasicNackOptions {
                    requeue: true,
                    ..Default::default()
                };
                rpc(acker.nack(back)).await
            } else {
                // Since RabbitMQ 4.3 only a rejection counts as a delivery that failed: by it the
                // delay grows, and the dead-letter queue is reached at last.
                rpc(acker.reject(BasicRejectOptions { requeue: true })).await
            }
        }
        Outcome::Reject(reason) => {
            tracing::error!(reason, "the message goes to the dead-letter queue");
            rpc(acker.nack(BasicNackOptions {
                requeue: false,
                ..Default::default()
            }))
            .await
        }
    };
    match settled {
        Ok(true) => {}
        // The broker delivers it again; consumers do the same work once.
        Ok(false) => tracing::warn!("the channel closed before the message was settled"),
        Err(reason) => tracing::warn!(reason, "failed to settle the message"),
    }
}

fn retry_delay(count: u32) -> Duration {
    RETRY_FIRST
        .saturating_mul(1_u32.checked_shl(count).unwrap_or(u32::MAX))
        .min(RETRY_LONGEST)
}

/// Quorum queues count in `x-delivery-count`, and leave it out at first.
fn delivery_count(headers: &FieldTable) -> u32 {
    let value = headers
        .inner()
        .iter()
        .find(|(name, _)| name.as_str() == "x-delivery-count");
    let count = match value.map(|(_, value)| value) {
        Some(AMQPValue::LongLongInt(count)) => *count,
        Some(AMQPValue::LongInt(count)) => i64::from(*count),
        Some(AMQPValue::LongUInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortShortUInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortShortInt(count)) => i64::from(*count),
        _ => 0,
    };
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

fn text_headers(table: &FieldTable) -> HeaderMap {
    let text = |(name, value): (&lapin::types::ShortString, &AMQPValue)| {
        let AMQPValue::LongString(value) = value else {
            return None;
        };
        let name = HeaderName::try_from(name.as_str()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    };
    table.inner().iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use futures::poll;
    use rstest::rstest;
    use tokio::sync::{Notify, mpsc};

    use super::*;

    #[tokio::test]
    async fn what_outlives_its_subscription_still_has_a_place() {
        let (began, mut begun) = mpsc::unbounded_channel();
        let go_on = Arc::new(Notify::new());
        let goes_on = Arc::clone(&go_on);
        let handler = Arc::new(move |delivery: Delivery| {
            let (began, goes_on) = (began.clone(), Arc::clone(&goes_on));
            async move {
                began.send(delivery.routing_key).unwrap();
                goes_on.notified().await;
                Outcome::Done
            }
        });
        let places = Arc::new(Semaphore::new(1));
        let handled = |key: &'static str| {
            let raw = lapin::message::Delivery::mock(1, "".into(), key.into(), false, Vec::new());
            let (handler, places) = (Arc::clone(&handler), Arc::clone(&places));
            Box::pin(handle(raw, handler, "q", places, CancellationToken::new()))
        };
        let (mut before, mut after) = (handled("before"), handled("after"));
        assert!(poll!(&mut before).is_pending());
        assert!(poll!(&mut after).is_pending());
        assert_eq!(begun.try_recv().unwrap(), "before");
        assert!(begun.try_recv().is_err(), "only one at a time");
        go_on.notify_one();
        before.await;
        assert!(poll!(&mut after).is_pending());
        assert_eq!(begun.try_recv().unwrap(), "after");
        go_on.notify_one();
        after.await;
    }

    #[rstest]
    #[case(0, 5)]
    #[case(1, 10)]
    #[case(4, 80)]
    #[case(5, 120)]
    #[case(31, 120)]
    #[case(32, 120)]
    #[case(u32::MAX, 120)]
    fn the_wait_doubles_up_to_two_minutes(#[case] count: u32, #[case] seconds: u64) {
        assert_eq!(retry_delay(count), Duration::from_secs(seconds));
    }

    #[rstest]
    #[case(AMQPValue::LongLongInt(3), 3)]
    #[case(AMQPValue::LongInt(2), 2)]
    #[case(AMQPValue::LongLongInt(-1), 0)]
    #[case(AMQPValue::LongString("3".into()), 0)]
    fn the_count_is_read_from_the_header(#[case] value: AMQPValue, #[case] count: u32) {
        let mut table = FieldTable::default();
        assert_eq!(delivery_count(&table), 0);
        table.insert("x-delivery-count".into(), value);
        assert_eq!(delivery_count(&table), count);
    }

    #[test]
    fn trace_headers_are_read_back_from_a_message() {
        let mut table = FieldTable::default();
        table.insert(
            "traceparent".into(),
            AMQPValue::LongString("00-a-b-01".into()),
        );
        table.insert("x-delivery-count".into(), AMQPValue::LongLongInt(1));
        let headers = text_headers(&table);
        assert_eq!(headers["traceparent"], "00-a-b-01");
        assert_eq!(headers.len(), 1);
    }
}
