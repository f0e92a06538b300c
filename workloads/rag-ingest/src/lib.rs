//! Documents to chunks to vectors.
//!
//! `lib` reads the queue, `consumer` decides what becomes of a message, `pipeline` takes one document
//! along its way, `domain` holds the pure steps, `embed` calls the embedding model, `events` tells
//! others.

pub mod config;
mod consumer;
pub mod domain;
pub mod embed;
pub mod error;
pub mod events;
#[cfg(test)]
mod fakes;
pub mod pipeline;

use std::sync::Arc;
use std::time::Duration;

use lotoai_contracts::v1::rag_client::RagClient;
use lotoai_kit::{MAX_GRPC_MESSAGE_BYTES, Service};
use snafu::ResultExt;

pub use config::Config;
pub use error::Error;

use crate::domain::chunk::Chunker;
use crate::embed::Embedder;
use crate::pipeline::Pipeline;

/// The queue of this workload.
const QUEUE: &str = "rag-ingest";
/// Documents under way at once. One keeps "uploaded, then deleted" in order, and the embedding
/// model is the bottleneck anyway.
const PREFETCH: u16 = 1;
/// How long it may take to fetch a document.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the consumer until it is told to stop.
///
/// # Errors
/// The configuration cannot be used.
pub async fn run(config: Config, service: Service) -> Result<(), Error> {
    let chunker = Chunker::new(
        config.chunk_max_characters as usize,
        config.chunk_overlap_characters as usize,
    )
    .context(error::ChunkSizeSnafu)?;
    let http = config
        .model_server
        .http_client(&config.common.tls)
        .context(error::UpstreamSnafu)?;
    let channel = config
        .rag_server
        .grpc_channel(&config.common.tls)
        .context(error::UpstreamSnafu)?;
    let rabbitmq = config
        .rabbitmq
        .connect(&service)
        .await
        .context(error::BrokerSnafu)?;
    let pipeline = Arc::new(Pipeline {
        objects: config.s3.open(FETCH_TIMEOUT).context(error::ObjectsSnafu)?,
        embedder: Embedder::new(http, &config.model_server.url, &config.embedding_model)
            .context(error::AddressSnafu)?,
        embedding_model: config.embedding_model.clone(),
        rag: RagClient::new(channel).max_encoding_message_size(MAX_GRPC_MESSAGE_BYTES),
        chunker: Arc::new(chunker),
        max_bytes: config.max_document_bytes,
        events: Arc::new(rabbitmq.clone()),
    });
    let patience = Duration::from_secs(config.patience_seconds);
    let shutdown = service.shutdown.clone();
    rabbitmq
        .consume(QUEUE, PREFETCH, move |delivery| {
            let (pipeline, stop) = (Arc::clone(&pipeline), shutdown.clone());
            async move { consumer::handle(stop.cancelled(), &pipeline, patience, delivery).await }
        })
        .await
        .context(error::ConsumeSnafu)
}
