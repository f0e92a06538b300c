//! Errors that end the process at start.

use snafu::Snafu;

/// Why the service cannot run.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// A client of another service cannot be made.
    #[snafu(display("failed to prepare the client of {service}"))]
    Client {
        /// The service.
        service: &'static str,
        /// The cause.
        source: lotoai_kit::upstream::UpstreamError,
    },
    /// The address of a service cannot carry a path.
    #[snafu(display("failed to use MODEL_SERVER_URL"))]
    Address {
        /// The cause.
        source: url::ParseError,
    },
    /// PostgreSQL cannot be reached.
    #[snafu(display("failed to open the store"))]
    OpenStore {
        /// The cause.
        source: lotoai_kit::postgres::PostgresError,
    },
    /// The tables cannot be brought up to date.
    #[snafu(display("failed to migrate the store"))]
    Migrate {
        /// The cause.
        source: lotoai_kit::postgres::PostgresError,
    },
    /// The gRPC listener failed.
    #[snafu(display("failed to serve gRPC"))]
    Serve {
        /// The cause.
        source: lotoai_kit::ServeError,
    },
}
