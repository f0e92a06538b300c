//! Creates roles, databases, queues, buckets and clients in the stores, idempotently: what is
//! missing is created, what differs is corrected. Nothing is deleted but users that are retired, and
//! a queue that has no leader and would never get one.

mod clickhouse;
mod config;
mod error;
mod http;
mod keycloak;
mod plan;
mod postgres;
mod rabbitmq;
mod s3;

pub use config::{Config, Store};
pub use error::Error;

use lotoai_kit::Service;

use plan::Secrets;

/// Reads the file, waits for the store and brings it to what the file says.
///
/// # Errors
/// The file is refused, a password is missing, or the store does not answer or refuses.
pub async fn run(config: Config, service: Service) -> Result<(), Error> {
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
