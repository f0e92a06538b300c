//! What is done beside the calls.

use std::sync::Arc;
use std::time::Duration;

use lotoai_kit::Gate;
use snafu::Report;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Edge, Qdrant, StoreError, VectorStore};

/// How often the embedded store is looked after.
const UPKEEP: Duration = Duration::from_secs(60);
/// How often Qdrant is asked whether it is there.
const PING: Duration = Duration::from_secs(10);
/// Every how many pings its content is counted.
const COUNT_EVERY: u32 = 6;

/// Looks after the embedded store until a stop: gauges, index, log. What fails is tried again at the
/// next turn, since the store works without it, only more slowly.
///
/// # Errors
///
/// When the store was closed and cannot be opened again: the process should end.
pub async fn upkeep(store: Arc<Edge>, shutdown: CancellationToken) -> Result<(), StoreError> {
    let mut turns = turns(UPKEEP);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = turns.tick() => {}
        }
        measure(store.as_ref()).await;
        if let Err(error) = store.optimize().await {
            tracing::warn!(error = %Report::from_error(error), "failed to optimise the store");
        }
        store.shorten_log().await?;
    }
}

/// Keeps `gate` true to whether Qdrant answers, until a stop.
pub async fn watch(store: Arc<Qdrant>, gate: Gate, shutdown: CancellationToken) {
    let mut turns = turns(PING);
    let mut turn = 0;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = turns.tick() => {}
        }
        match store.ping().await {
            Ok(()) => gate.ready(),
            Err(error) => gate.not_ready(error.to_string()),
        }
        if turn == 0 {
            measure(store.as_ref()).await;
        }
        turn = (turn + 1) % COUNT_EVERY;
    }
}

fn turns(every: Duration) -> tokio::time::Interval {
    let mut turns = tokio::time::interval(every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}

async fn measure(store: &dyn VectorStore) {
    match store.stats().await {
        Ok(stats) => {
            metrics::gauge!("lotoai_rag_server_documents").set(stats.documents as f64);
            metrics::gauge!("lotoai_rag_server_chunks").set(stats.chunks as f64);
        }
        Err(error) => tracing::warn!(error = %Report::from_error(error), "failed to count"),
    }
}
