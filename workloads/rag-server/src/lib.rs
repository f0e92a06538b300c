//! The only owner of the vector store: search with citations.
//!
//! [`service`] is the gRPC face, [`validate`] turns its messages into what [`domain`] has, and
//! [`store`] keeps it.

mod config;
pub mod domain;
pub mod embedder;
mod error;
pub mod service;
pub mod store;
mod validate;

use std::sync::Arc;

use lotoai_kit::callers::Callers;
use lotoai_kit::{HasCommon, Service};
use snafu::ResultExt;

pub use config::Config;
pub use error::Error;

/// Opens the store and serves it until a stop is asked for.
///
/// # Errors
///
/// When the store cannot be opened or the address cannot be served on.
pub async fn run(config: Config, service: Service) -> Result<(), Error> {
    let gate = service.readiness.register("store");
    let store = store::Edge::open(&config.rag_data)
        .await
        .context(error::OpenStoreSnafu)?;
    let model = config.embedding_model.clone();
    let embedder = embedder::Embedder::new(&config.model_server, model, &config.common().tls)
        .context(error::PrepareEmbedderSnafu)?;
    let store = Arc::new(store);
    service.spawn(
        "upkeep",
        store::upkeep(Arc::clone(&store), service.shutdown.clone()),
    );
    gate.ready();
    let routes = service::routes(store, embedder, &Callers::from_env());
    service
        .serve_grpc(config.common().grpc_listen(), routes)
        .await
        .context(error::ServeSnafu)
}
