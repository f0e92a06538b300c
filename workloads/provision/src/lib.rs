//! Creates roles, databases, queues, buckets and clients in the stores, idempotently: what is
//! missing is created, what differs is corrected. Nothing is deleted but users that are retired, and
//! a queue that has no leader and would never get one.

mod class;
mod clickhouse;
mod config;
mod error;
mod http;
mod keycloak;
mod plan;
mod postgres;
mod rabbitmq;
mod s3;
mod told;

pub use config::{Config, Store};
pub use error::Error;

use std::time::Duration;

use lotoai_kit::{Service, Told, chain, retry};

use class::{Class, Classified};
use plan::Secrets;

/// Reads the file, waits for the store and brings it to what the file says.
///
/// # Errors
/// The file is refused, a password is missing, or the store does not answer or refuses.
pub async fn run(config: Config, service: Service) -> Result<(), Told> {
    let result = Box::pin(provision(config, service)).await;
    result.map_err(|error| told::told(&error, &told::passwords()))
}

async fn provision(config: Config, service: Service) -> Result<(), Error> {
    let secrets = Secrets::from_env();
    let patience = config.patience();
    let file = config.file.as_path();
    let work = async {
        match &config.store {
            Store::Postgres(admin) => {
                postgres::provision(admin, &plan::read(file)?, &secrets, patience).await
            }
            Store::Rabbitmq(admin) => {
                rabbitmq::provision(admin, &plan::read(file)?, &secrets, patience).await
            }
            Store::S3(admin) => s3::provision(admin, &plan::read(file)?, &secrets, patience).await,
            Store::Keycloak(admin) => {
                keycloak::provision(admin, &plan::read(file)?, &secrets, patience).await
            }
            Store::Clickhouse(admin) => {
                clickhouse::provision(admin, &plan::read(file)?, &secrets, patience).await
            }
        }
    };
    tokio::select! {
        result = Box::pin(work) => result,
        () = service.shutdown.cancelled() => Err(Error::Stopped),
    }
}

/// Waits for a store for as long as it may only be on its way. One that refuses who we are, or that
/// cannot be trusted, is told at once: somebody has to act, and an account may be locked after a
/// number of wrong passwords.
async fn reach<T, E, F, Fut>(store: &'static str, patience: Duration, attempt: F) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: std::error::Error + Classified,
{
    let why = |error: &E| (!error.class().is_final()).then(|| chain(error));
    retry::while_passing(store, patience, why, attempt).await
}

/// The same of a store of the platform's that is just taking another administrator: it refuses the one
/// that it does not know yet, and locks nobody out.
async fn let_in<T, E, F, Fut>(store: &'static str, patience: Duration, attempt: F) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: std::error::Error + Classified,
{
    let why = |error: &E| (error.class() != Class::Untrusted).then(|| chain(error));
    retry::while_passing(store, patience, why, attempt).await
}
