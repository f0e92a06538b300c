//! Why the workload cannot start.

use lotoai_kit::rabbitmq::{AddressError, ConsumeError};
use lotoai_kit::s3::S3Error;
use lotoai_kit::upstream::UpstreamError;
use snafu::Snafu;

use crate::domain::chunk::SizeError;

/// Why the workload cannot start.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// The chunk sizes do not fit together.
    #[snafu(display("failed to set up chunking"))]
    ChunkSize {
        /// Cause.
        source: SizeError,
    },
    /// A service's address or token cannot be used.
    #[snafu(display("failed to set up a client"))]
    Upstream {
        /// Cause.
        source: UpstreamError,
    },
    /// The model server's address cannot carry a path.
    #[snafu(display("failed to use MODEL_SERVER_URL"))]
    Address {
        /// Cause.
        source: url::ParseError,
    },
    /// The broker's address cannot be used.
    #[snafu(display("failed to set up RabbitMQ"))]
    Broker {
        /// Cause.
        source: AddressError,
    },
    /// The bucket cannot be opened.
    #[snafu(display("failed to set up the object store"))]
    Objects {
        /// Cause.
        source: S3Error,
    },
    /// The queue cannot be consumed.
    #[snafu(display("failed to consume"))]
    Consume {
        /// Cause.
        source: ConsumeError,
    },
}
