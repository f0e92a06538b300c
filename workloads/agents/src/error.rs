//! Errors that end the process at start.

use std::path::PathBuf;

use snafu::Snafu;

/// Why the service cannot run.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// The file named by `AGENTS_CONFIG` is missing or unreadable.
    #[snafu(display("failed to read the role table {path:?} (set AGENTS_CONFIG)"))]
    ReadTable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The role table is not what the reference says.
    #[snafu(display("failed to understand the role table {path:?}"))]
    ParseTable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: crate::table::TableError,
    },
    /// A provider's client cannot be made.
    #[snafu(display("failed to prepare the model providers"))]
    OpenProviders {
        /// The cause.
        source: crate::provider::OpenError,
    },
    /// The gRPC listener failed.
    #[snafu(display("failed to serve gRPC"))]
    Serve {
        /// The cause.
        source: lotoai_kit::ServeError,
    },
}
