//! Why the gateway could not start or had to stop.

use snafu::Snafu;

use crate::budget::table::TableError;
use crate::identity::{login::LoginSetupError, provider::ProviderError};
use crate::store::StoreError;

/// An error that ends the process.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// PostgreSQL was not reachable in time.
    #[snafu(display("failed to connect to PostgreSQL"))]
    Postgres {
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The schema could not be brought up to date.
    #[snafu(display("failed to migrate the database"))]
    Migrate {
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The broker's address or credentials cannot be used.
    #[snafu(display("failed to set up the message broker"))]
    Rabbitmq {
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The object store's address or credentials cannot be used.
    #[snafu(display("failed to set up the object store"))]
    Objects {
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The orchestrator's address cannot be used.
    #[snafu(display("failed to set up the orchestrator's client"))]
    Orchestrator {
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The model server's address cannot be used.
    #[snafu(display("failed to set up the model server's client"))]
    ModelServer {
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The identity provider's client could not be made.
    #[snafu(display("failed to set up the identity provider's client"))]
    Provider {
        /// Cause.
        source: ProviderError,
    },
    /// Sign-in could not be set up.
    #[snafu(display("failed to set up sign-in"))]
    Login {
        /// Cause.
        source: LoginSetupError,
    },
    /// Budgets and prices cannot be used.
    #[snafu(display("failed to set up budgets; mend BUDGETS_FILE"))]
    Budgets {
        /// Cause.
        source: TableError,
    },
    /// The budgets of administrators could not be read.
    #[snafu(display("failed to read the budgets of administrators"))]
    StoredBudgets {
        /// Cause.
        source: StoreError,
    },
    /// The HTTP server ended.
    #[snafu(display("failed to serve HTTP"))]
    Serve {
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
