//! What can go wrong in the store.

use std::path::PathBuf;

use qdrant_edge::OperationError;
use snafu::Snafu;

/// What can go wrong in the store.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub enum StoreError {
    /// The directory cannot be written to.
    #[snafu(display(
        "failed to use the directory {path:?}: set RAG_DATA to a directory that this process may write to"
    ))]
    UseDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in the directory cannot be opened.
    #[snafu(display("failed to open the store in {path:?}"))]
    OpenShard {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: OperationError,
    },
    /// The store was closed for upkeep and could not be opened again; the process ends.
    #[snafu(display("the store is closed"))]
    Closed,
    /// A field could not be indexed.
    #[snafu(display("failed to index the field {field}"))]
    IndexField {
        /// The field.
        field: &'static str,
        /// Why.
        source: OperationError,
    },
    /// Chunks could not be written.
    #[snafu(display("failed to write chunks"))]
    Write {
        /// Why.
        source: OperationError,
    },
    /// Chunks could not be removed.
    #[snafu(display("failed to remove chunks"))]
    Remove {
        /// Why.
        source: OperationError,
    },
    /// The store could not be searched.
    #[snafu(display("failed to search"))]
    Search {
        /// Why.
        source: OperationError,
    },
    /// The store could not be counted.
    #[snafu(display("failed to count"))]
    Count {
        /// Why.
        source: OperationError,
    },
    /// The store could not be optimised.
    #[snafu(display("failed to optimise"))]
    Optimise {
        /// Why.
        source: OperationError,
    },
    /// A stored chunk lacks something.
    #[snafu(display("failed to read the stored chunk {id}: {fault}"))]
    ReadChunk {
        /// Its id.
        id: String,
        /// What is wrong.
        fault: String,
    },
    /// The library gave up in the middle of a call.
    #[snafu(display("failed to finish a call of the store"))]
    Crashed {
        /// Why.
        source: tokio::task::JoinError,
    },
}
