//! Documents to chunks to vectors.
//!
//! `lib` reads the queue, `pipeline` takes one document along its way, `domain` holds the pure
//! steps, `embed` calls the embedding model.

pub mod config;
pub mod domain;
pub mod embed;
pub mod error;
pub mod pipeline;

use std::sync::Arc;
use std::time::Duration;

use lotoai_contracts::events::{
    DocumentDeleted, DocumentFailed, DocumentIndexed, DocumentUploaded, Event, IngestionStep,
};
use lotoai_contracts::v1::rag_client::RagClient;
use lotoai_kit::rabbitmq::{Delivery, Outcome, PublishError, Rabbitmq};
use lotoai_kit::{MAX_GRPC_MESSAGE_BYTES, Service, retry};
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
        events: rabbitmq.clone(),
    });
    let patience = Duration::from_secs(config.patience_seconds);
    let shutdown = service.shutdown.clone();
    rabbitmq
        .consume(QUEUE, PREFETCH, move |delivery| {
            let (pipeline, stop) = (Arc::clone(&pipeline), shutdown.clone());
            async move { handle_until(stop.cancelled(), &pipeline, patience, delivery).await }
        })
        .await
        .context(error::ConsumeSnafu)
}

/// Publishes an event under its own name and identity.
pub(crate) async fn publish<E: Event>(events: &Rabbitmq, event: &E) -> Result<(), PublishError> {
    let body = serde_json::to_vec(event).unwrap_or_default();
    events.publish(E::NAME, &event.id(), body).await
}

/// Handles a message unless the process stops first: a document takes minutes and may wait for
/// longer, which no stop waits for. The message goes back, and whoever gets it begins again.
async fn handle_until(
    stop: impl Future<Output = ()>,
    pipeline: &Pipeline,
    patience: Duration,
    delivery: Delivery,
) -> Outcome {
    tokio::select! {
        biased;
        outcome = handle(pipeline, patience, delivery) => outcome,
        () = stop => Outcome::Retry,
    }
}

async fn handle(pipeline: &Pipeline, patience: Duration, delivery: Delivery) -> Outcome {
    match delivery.routing_key.as_str() {
        DocumentUploaded::NAME => match serde_json::from_slice(&delivery.body) {
            Ok(document) => index(pipeline, patience, &document).await,
            Err(error) => Outcome::Reject(format!("not a {}: {error}", DocumentUploaded::NAME)),
        },
        DocumentDeleted::NAME => match serde_json::from_slice::<DocumentDeleted>(&delivery.body) {
            Ok(document) => forget(pipeline, patience, &document.document_id).await,
            Err(error) => Outcome::Reject(format!("not a {}: {error}", DocumentDeleted::NAME)),
        },
        other => Outcome::Reject(format!("unknown event {other:?}")),
    }
}

/// Indexes the document and tells how it ended. Waits for stores that are away: a message that
/// went back to the queue too often would end as a dead letter nobody reads.
async fn index(pipeline: &Pipeline, patience: Duration, document: &DocumentUploaded) -> Outcome {
    let mut step = IngestionStep::Fetching;
    let deadline = tokio::time::Instant::now() + patience;
    let mut wait = Duration::from_secs(1);
    let error = loop {
        match pipeline.index(document, &mut step).await {
            Ok(chunks) => {
                metrics::counter!("lotoai_rag_ingest_documents_total", "outcome" => "indexed")
                    .increment(1);
                let event = DocumentIndexed {
                    document_id: document.document_id.clone(),
                    content_hash: document.content_hash.clone(),
                    chunks,
                };
                return published(publish(&pipeline.events, &event).await);
            }
            Err(error) if error.permanent_code().is_some() => break error,
            Err(error) if tokio::time::Instant::now() + wait > deadline => break error,
            Err(error) => {
                tracing::warn!(
                    document_id = document.document_id,
                    ?step,
                    error = %snafu::Report::from_error(&error),
                    "trying again"
                );
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(30));
            }
        }
    };
    metrics::counter!("lotoai_rag_ingest_documents_total", "outcome" => "failed").increment(1);
    tracing::warn!(
        document_id = document.document_id,
        ?step,
        error = %snafu::Report::from_error(&error),
        "a document cannot be indexed"
    );
    let code = error.permanent_code().unwrap_or("temporarily_unavailable");
    let event = DocumentFailed {
        document_id: document.document_id.clone(),
        content_hash: document.content_hash.clone(),
        step,
        code: code.to_owned(),
        message: error.message(),
    };
    published(publish(&pipeline.events, &event).await)
}

async fn forget(pipeline: &Pipeline, patience: Duration, document_id: &str) -> Outcome {
    match retry::until("the vector store", patience, || {
        pipeline.forget(document_id)
    })
    .await
    {
        Ok(()) => Outcome::Done,
        Err(_) => Outcome::Retry,
    }
}

/// The work is done again when its end could not be told: indexing twice changes nothing.
fn published(result: Result<(), PublishError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => {
            tracing::warn!(error = %snafu::Report::from_error(&error), "the outcome was not published");
            Outcome::Retry
        }
    }
}
