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
use std::time::Duration;

use lotoai_kit::callers::Callers;
use lotoai_kit::{HasCommon, Service, retry};
use snafu::ResultExt;

pub use config::Config;
pub use error::Error;

use store::{Edge, Qdrant, StoreError, VectorStore};

/// How long a start waits for Qdrant.
const PATIENCE: Duration = Duration::from_secs(120);

/// Opens the store and serves it until a stop is asked for.
///
/// # Errors
///
/// When the store cannot be opened or the address cannot be served on.
pub async fn run(config: Config, service: Service) -> Result<(), Error> {
    let model = config.embedding_model.clone();
    let embedder = embedder::Embedder::new(&config.model_server, model, &config.common().tls)
        .context(error::PrepareEmbedderSnafu)?;
    let store = open(&config, &service)
        .await
        .context(error::OpenStoreSnafu)?;
    let routes = service::routes(store, embedder, &Callers::from_env());
    service
        .serve_grpc(config.common().grpc_listen(), routes)
        .await
        .context(error::ServeSnafu)
}

/// The store that the configuration names, ready. Registers the gate `store`, which follows whether
/// Qdrant answers.
async fn open(config: &Config, service: &Service) -> Result<Arc<dyn VectorStore>, StoreError> {
    let gate = service.readiness.register("store");
    let shutdown = service.shutdown.clone();
    let Some(url) = &config.qdrant.qdrant_url else {
        let store = Arc::new(Edge::open(&config.rag_data).await?);
        service.spawn("upkeep", store::upkeep(Arc::clone(&store), shutdown));
        gate.ready();
        return Ok(store);
    };
    let store = Arc::new(Qdrant::new(url, &config.qdrant)?);
    let prepared = retry::until("Qdrant", PATIENCE, || async {
        let prepared = store.prepare().await;
        if let Err(error) = &prepared {
            gate.not_ready(error.to_string());
        }
        prepared
    });
    tokio::select! {
        prepared = prepared => prepared?,
        () = shutdown.cancelled() => return Err(StoreError::Stopped),
    }
    gate.ready();
    service.keep_up("qdrant", store::watch(Arc::clone(&store), gate, shutdown));
    Ok(store)
}
