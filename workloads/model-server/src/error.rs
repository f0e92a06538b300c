//! What ends the process.

use snafu::Snafu;

use crate::engine::EngineError;

/// What ends the process.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// A model's thread could not be started.
    #[snafu(display("failed to start a model"))]
    StartEngine {
        /// Why.
        source: EngineError,
    },
    /// The address could not be served on.
    #[snafu(display("failed to serve HTTP"))]
    Serve {
        /// Why.
        source: lotoai_kit::ServeError,
    },
}
