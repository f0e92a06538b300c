//! Where vectors are kept.

mod edge;
mod error;
mod filter;
mod payload;
mod qdrant;
mod upkeep;
mod wal;

use async_trait::async_trait;

pub use edge::Edge;
pub use error::{Failure, StoreError};
pub use qdrant::Qdrant;
pub use upkeep::{upkeep, watch};

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

#[cfg(test)]
mod conformance;
