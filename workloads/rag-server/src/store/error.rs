//! What can go wrong in the store.

use std::fmt;
use std::path::PathBuf;

use lotoai_kit::authority::AuthorityError;
use qdrant_edge::OperationError;
use snafu::Snafu;
use tonic::Code;

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
    /// Whoever wanted a change left before its turn came.
    #[snafu(display("nobody waits for the change any more"))]
    Abandoned,
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
    /// The address of Qdrant cannot be used.
    #[snafu(display("failed to use QDRANT_URL {url}; write it as https://host:6334"))]
    Address {
        /// The address.
        url: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The key of Qdrant cannot stand in a header.
    #[snafu(display("failed to use QDRANT_API_KEY; it may hold visible ASCII only"))]
    Key,
    /// The authority of Qdrant's certificate cannot be used.
    #[snafu(display("failed to use QDRANT_CA_FILE"))]
    Authority {
        /// Why.
        source: AuthorityError,
    },
    /// A call of Qdrant failed.
    #[snafu(display("failed to {what} in Qdrant: {failure}"))]
    Call {
        /// What was being done.
        what: &'static str,
        /// What kind of failure it is.
        failure: Failure,
        /// Why.
        source: tonic::Status,
    },
    /// The process was told to stop before the store was ready.
    #[snafu(display("stopped before the store was ready"))]
    Stopped,
    /// There is a collection of this name, and it is another kind of collection.
    #[snafu(display(
        "the collection {name:?} in Qdrant has {found}, and passages need {needed}; name another \
         collection"
    ))]
    OtherCollection {
        /// Its name.
        name: String,
        /// What its vectors are.
        found: String,
        /// What they must be.
        needed: String,
    },
    /// The library gave up in the middle of a call.
    #[snafu(display("failed to finish a call of the store"))]
    Crashed {
        /// Why.
        source: tokio::task::JoinError,
    },
}

impl StoreError {
    /// What kind of failure of a call it is, if it is one.
    pub(crate) const fn failure(&self) -> Option<Failure> {
        match self {
            Self::Call { failure, .. } => Some(*failure),
            _ => None,
        }
    }
}

/// What kind of failure of a call of Qdrant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It is not reached, or cannot serve now.
    Unavailable,
    /// It did not answer in time. What it was asked to do may be done or not.
    Deadline,
    /// It does not take our key.
    Unauthenticated,
    /// The message does not fit.
    TooLarge,
    /// It is at its own limits.
    Exhausted,
    /// There is no such collection.
    Missing,
    /// Anything else: it says why.
    Refused,
}

impl Failure {
    /// The kind of failure that a code stands for.
    pub(super) const fn of(code: Code) -> Self {
        match code {
            Code::Unavailable => Self::Unavailable,
            // An expired deadline of the connection is told as cancelled.
            Code::DeadlineExceeded | Code::Cancelled => Self::Deadline,
            Code::Unauthenticated | Code::PermissionDenied => Self::Unauthenticated,
            Code::OutOfRange => Self::TooLarge,
            Code::ResourceExhausted => Self::Exhausted,
            Code::NotFound => Self::Missing,
            _ => Self::Refused,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "it is not reached or cannot serve now",
            Self::Deadline => "it did not answer in time",
            Self::Unauthenticated => "it refuses the key in QDRANT_API_KEY",
            Self::TooLarge => "the message is larger than one may be",
            Self::Exhausted => "it is at its limits",
            Self::Missing => "there is no such collection",
            Self::Refused => "it refuses",
        })
    }
}
