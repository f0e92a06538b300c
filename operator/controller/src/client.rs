//! The client of the API server.

use kube::{Client, Config};

/// A client that reports every failure at once.
///
/// The one that kube makes by default tries 15 times with pauses of up to 82 s whatever the API
/// server could not take now: a pass would sleep on long after the server is well again. Passes and
/// watches are repeated anyway, with pauses of less than a minute.
///
/// # Errors
/// When the configuration holds a certificate, key or proxy that cannot be used.
pub fn client(mut config: Config) -> Result<Client, kube::Error> {
    config.default_retry = false;
    Client::try_from(config)
}
