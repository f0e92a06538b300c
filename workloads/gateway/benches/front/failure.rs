//! What ends a run.

use snafu::Snafu;

/// Anything that ends the run.
#[derive(Debug, Snafu)]
#[snafu(whatever, display("{message}"))]
pub(crate) struct Failure {
    message: String,
    #[snafu(source(from(Box<dyn std::error::Error + Send + Sync>, Some)))]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What may end the run.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;
