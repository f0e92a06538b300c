//! Where vectors are kept.

mod edge;
mod error;
mod filter;
mod payload;
mod wal;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use edge::Edge;
pub use error::StoreError;

use crate::domain::{Document, Hit, Query, Stats};

/// Keeps documents and finds their passages. What a call has acknowledged survives the process.
#[async_trait]
pub trait VectorStore: std::fmt::Debug + Send + Sync + 'static {
    /// Puts `document` in the place of whatever was kept under its id.
    async fn replace(&self, document: Document) -> Result<(), StoreError>;

    /// Removes a document. Removing one that is not there is no error.
    async fn delete(&self, document_id: String) -> Result<(), StoreError>;

    /// The passages nearest to the query, best first, of those that the reader may read.
    async fn search(&self, query: Query) -> Result<Vec<Hit>, StoreError>;

    /// How much is kept.
    async fn stats(&self) -> Result<Stats, StoreError>;
}

/// How often the store is looked after.
const UPKEEP: Duration = Duration::from_secs(60);

/// Looks after the embedded store until a stop: gauges, index, log. What fails is tried again at the
/// next turn, since the store works without it, only more slowly.
///
/// # Errors
///
/// When the store was closed and cannot be opened again: the process should end.
pub async fn upkeep(store: Arc<Edge>, shutdown: CancellationToken) -> Result<(), StoreError> {
    let mut turns = tokio::time::interval(UPKEEP);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = turns.tick() => {}
        }
        match store.stats().await {
            Ok(stats) => {
                metrics::gauge!("lotoai_rag_server_documents").set(stats.documents as f64);
                metrics::gauge!("lotoai_rag_server_chunks").set(stats.chunks as f64);
            }
            Err(error) => {
                tracing::warn!(error = %snafu::Report::from_error(error), "failed to count")
            }
        }
        if let Err(error) = store.optimize().await {
            tracing::warn!(error = %snafu::Report::from_error(error), "failed to optimise the store");
        }
        store.shorten_log().await?;
    }
}
