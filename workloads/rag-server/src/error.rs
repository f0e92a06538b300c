//! What ends the process.

use lotoai_kit::ServeError;
use lotoai_kit::upstream::UpstreamError;
use snafu::Snafu;

use crate::store::StoreError;

/// What ends the process.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// The store could not be opened.
    #[snafu(display("failed to open the vector store"))]
    OpenStore {
        /// Why.
        source: StoreError,
    },
    /// The client of the model server could not be made.
    #[snafu(display("failed to prepare the client of the model server"))]
    PrepareEmbedder {
        /// Why.
        source: UpstreamError,
    },
    /// The address could not be served on.
    #[snafu(display("failed to serve gRPC"))]
    Serve {
        /// Why.
        source: ServeError,
    },
}
