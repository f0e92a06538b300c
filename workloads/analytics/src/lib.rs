//! Usage events to ClickHouse, and figures from them.
//!
//! `batch` turns events into inserts, `usage` knows the table, `erased` deletes people from it and
//! `retention` what is old, `clickhouse` speaks HTTP, `routes` answers questions.

pub mod batch;
pub mod clickhouse;
pub mod config;
pub mod erased;
pub mod retention;
pub mod routes;
pub mod usage;

use std::time::Duration;

use lotoai_contracts::events::{Event, PersonErased, UsageRecorded};
use lotoai_kit::callers::Callers;
use lotoai_kit::rabbitmq::{AddressError, ConsumeError, Delivery, Outcome};
use lotoai_kit::{ServeError, Service, retry};
use snafu::{ResultExt, Snafu};

pub use config::Config;

use crate::batch::Batcher;
use crate::clickhouse::ClickHouse;
use crate::erased::Erasures;

/// The queue of this workload.
const QUEUE: &str = "analytics";
/// ClickHouse may take this long to appear before the process gives up and is started again.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How often the gate asks whether ClickHouse is still there.
const PING: Duration = Duration::from_secs(10);
/// Messages that are held at a time; one has as many events as the gateway relays together.
const PREFETCH: u16 = 64;
/// An event waits in the process for this long before the next try: a message that went back to
/// the queue too often would end as a dead letter.
const RETRY: Duration = Duration::from_secs(5);

/// Why the workload cannot start or go on.
#[derive(Debug, Snafu)]
pub enum Error {
    /// The ClickHouse client cannot be built, or a table cannot be made.
    #[snafu(display("failed to prepare ClickHouse"))]
    Prepare {
        /// Cause.
        source: clickhouse::Error,
    },
    /// The broker's address cannot be used.
    #[snafu(display("failed to set up RabbitMQ"))]
    Broker {
        /// Cause.
        source: AddressError,
    },
    /// The queue cannot be consumed.
    #[snafu(display("failed to consume"))]
    Consume {
        /// Cause.
        source: ConsumeError,
    },
    /// The listener failed.
    #[snafu(display("failed to serve"))]
    Serve {
        /// Cause.
        source: ServeError,
    },
}

/// Runs until it is told to stop.
///
/// # Errors
/// The configuration cannot be used, ClickHouse stays away at start, or the listener fails.
pub async fn run(config: Config, service: Service) -> Result<(), Error> {
    let clickhouse = ClickHouse::new(&config.clickhouse).context(PrepareSnafu)?;
    let cluster = config.clickhouse.clickhouse_cluster.as_deref();
    for table in [usage::create_table(cluster), erased::create_table(cluster)] {
        let create = || clickhouse.execute(&table);
        retry::until("ClickHouse", START_PATIENCE, create)
            .await
            .context(PrepareSnafu)?;
    }
    watch(&clickhouse, &service);
    let rabbitmq = config
        .rabbitmq
        .connect(&service)
        .await
        .context(BrokerSnafu)?;
    let size = usize::from(config.batch_size);
    let patience = Duration::from_millis(config.batch_milliseconds);
    let (batcher, work) = Batcher::start(clickhouse.clone(), size, patience);
    service.keep_up("batches", work);
    let erasures = Erasures::new(clickhouse.clone());
    service.keep_up("erasures", erasures.clone().keep(service.shutdown.clone()));
    let days = config.usage_retention_days;
    let ends = retention::keep(clickhouse.clone(), days, service.shutdown.clone());
    service.keep_up("retention", ends);
    let shutdown = service.shutdown.clone();
    service.spawn("events", async move {
        rabbitmq
            .consume(QUEUE, PREFETCH, move |delivery| {
                let (batcher, erasures) = (batcher.clone(), erasures.clone());
                let stop = shutdown.clone();
                async move { handle(&batcher, &erasures, stop.cancelled(), delivery).await }
            })
            .await
    });
    let router = routes::router(clickhouse, &Callers::from_env());
    service
        .serve_http(config.common.http_listen(), router)
        .await
        .context(ServeSnafu)
}

/// Keeps the gate `clickhouse` true to the facts.
fn watch(clickhouse: &ClickHouse, service: &Service) {
    let gate = service.readiness.register("clickhouse");
    gate.ready();
    let (clickhouse, shutdown) = (clickhouse.clone(), service.shutdown.clone());
    service.keep_up("ping", async move {
        while !shutdown.is_cancelled() {
            match clickhouse.execute("SELECT 1").await {
                Ok(_) => gate.ready(),
                Err(error) => gate.not_ready(error.to_string()),
            }
            tokio::select! {
                () = tokio::time::sleep(PING) => {}
                () = shutdown.cancelled() => {}
            }
        }
    });
}

async fn handle(
    batcher: &Batcher,
    erasures: &Erasures,
    stop: impl Future<Output = ()>,
    delivery: Delivery,
) -> Outcome {
    match delivery.routing_key.as_str() {
        UsageRecorded::NAME => match UsageRecorded::of_message(&delivery.body) {
            Ok(events) => stored(|| batcher.add_all(&events), stop).await,
            Err(error) => not_a::<UsageRecorded>(&error),
        },
        PersonErased::NAME => match serde_json::from_slice::<PersonErased>(&delivery.body) {
            Ok(event) if event.is_sound() => stored(|| erasures.note(&event), stop).await,
            Ok(_) => Outcome::Reject("a digest that is none".to_owned()),
            Err(error) => not_a::<PersonErased>(&error),
        },
        unknown => Outcome::Reject(format!("unknown event {unknown:?}")),
    }
}

fn not_a<E: Event>(error: &serde_json::Error) -> Outcome {
    Outcome::Reject(format!("not a {}: {error}", E::NAME))
}

/// Waits for ClickHouse here; the broker keeps the message until it is acknowledged.
async fn stored<F: Future<Output = bool>>(
    attempt: impl Fn() -> F,
    stop: impl Future<Output = ()>,
) -> Outcome {
    let mut stop = std::pin::pin!(stop);
    while !attempt().await {
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = &mut stop => return Outcome::Retry,
        }
    }
    Outcome::Done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClickHouseArgs;

    fn delivery<E: Event>(event: &E) -> Delivery {
        Delivery {
            routing_key: E::NAME.to_owned(),
            message_id: event.id(),
            body: serde_json::to_vec(event).unwrap(),
            redelivered: false,
            delivery_count: 0,
        }
    }

    /// Handles an event while ClickHouse is away, at a stop.
    async fn handled(delivery: Delivery) -> Outcome {
        let clickhouse = ClickHouse::new(&ClickHouseArgs::for_tests("http://127.0.0.1:1")).unwrap();
        let erasures = Erasures::new(clickhouse.clone());
        let (batcher, work) = Batcher::start(clickhouse, 1, Duration::from_millis(1));
        tokio::spawn(work);
        handle(&batcher, &erasures, std::future::ready(()), delivery).await
    }

    #[tokio::test]
    async fn an_event_that_waits_for_clickhouse_goes_back_at_a_stop() {
        let usage = UsageRecorded {
            run_id: "r".into(),
            ended_at: "2026-11-02T10:00:00Z".into(),
            subject: "s".into(),
            requested_model: "lotoai".into(),
            model: "extractive".into(),
            provider: "lotoai".into(),
            route: "knowledge".into(),
            outcome: "ok".into(),
            input_tokens: None,
            output_tokens: None,
            first_token_ms: None,
            duration_ms: 1,
        };
        assert_eq!(handled(delivery(&usage)).await, Outcome::Retry);
        let erased = PersonErased {
            subject_digest: PersonErased::digest("s"),
            erased_at_ms: 1,
        };
        assert_eq!(handled(delivery(&erased)).await, Outcome::Retry);
    }

    #[tokio::test]
    async fn what_cannot_be_understood_is_rejected() {
        let quoted = delivery(&PersonErased {
            subject_digest: "' OR 1 --".to_owned(),
            erased_at_ms: 1,
        });
        let mut unknown = quoted.clone();
        unknown.routing_key = "document.uploaded".to_owned();
        let mut garbled = quoted.clone();
        garbled.body.clear();
        for delivery in [quoted, unknown, garbled] {
            let outcome = handled(delivery).await;
            assert!(matches!(outcome, Outcome::Reject(_)), "{outcome:?}");
        }
    }
}
