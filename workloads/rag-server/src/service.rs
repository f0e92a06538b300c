//! `lotoai.v1.Rag`.

use std::sync::Arc;
use std::time::Instant;

use lotoai_contracts::v1::rag_server::{Rag, RagServer};
use lotoai_contracts::v1::{
    Citation, DeleteDocumentRequest, DeleteDocumentResponse, ReplaceDocumentRequest,
    ReplaceDocumentResponse, SearchRequest, SearchResponse, StatsRequest, StatsResponse,
};
use lotoai_kit::MAX_GRPC_MESSAGE_BYTES;
use lotoai_kit::callers::Callers;
use snafu::Report;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status};

use crate::domain::{Hit, Query};
use crate::embedder::{EmbedError, Embedder};
use crate::store::{Failure, StoreError, VectorStore};
use crate::validate;

/// The service behind the callers' tokens.
pub fn routes(store: Arc<dyn VectorStore>, embedder: Embedder, callers: &Callers) -> Routes {
    let server = RagServer::new(RagService { store, embedder })
        .max_decoding_message_size(MAX_GRPC_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_GRPC_MESSAGE_BYTES);
    Routes::new(InterceptedService::new(server, callers.interceptor()))
}

/// Answers the calls.
#[derive(Debug)]
pub struct RagService {
    store: Arc<dyn VectorStore>,
    embedder: Embedder,
}

impl RagService {
    /// A service over `store` that asks `embedder` for the vectors of questions.
    pub fn new(store: Arc<dyn VectorStore>, embedder: Embedder) -> Self {
        Self { store, embedder }
    }
}

#[tonic::async_trait]
impl Rag for RagService {
    async fn search(
        &self,
        request: Request<SearchRequest>,
    ) -> Result<Response<SearchResponse>, Status> {
        let search = validate::search(request.into_inner())?;
        let started = Instant::now();
        let vector = self
            .embedder
            .embed(&search.question)
            .await
            .map_err(no_vector)?;
        phase("embed", started);
        let query = Query {
            vector,
            limit: search.limit,
            readable: search.readable,
            knowledge_base: search.knowledge_base,
            min_score: search.min_score,
        };
        let started = Instant::now();
        let hits = self.store.search(query).await.map_err(store_failed)?;
        phase("search", started);
        metrics::counter!("lotoai_rag_server_searches_total", "found" => found(&hits)).increment(1);
        let hits = (1..)
            .zip(hits)
            .map(|(number, hit)| citation(number, hit))
            .collect();
        Ok(Response::new(SearchResponse { hits }))
    }

    async fn replace_document(
        &self,
        request: Request<ReplaceDocumentRequest>,
    ) -> Result<Response<ReplaceDocumentResponse>, Status> {
        let document = validate::document(request.into_inner(), self.embedder.model())?;
        let started = Instant::now();
        // Checked to be at most 10,000.
        let chunks = u32::try_from(document.chunks.len()).unwrap_or(u32::MAX);
        self.store.replace(document).await.map_err(store_failed)?;
        phase("replace", started);
        Ok(Response::new(ReplaceDocumentResponse { chunks }))
    }

    async fn delete_document(
        &self,
        request: Request<DeleteDocumentRequest>,
    ) -> Result<Response<DeleteDocumentResponse>, Status> {
        let id = validate::document_id(request.into_inner())?;
        let started = Instant::now();
        self.store.delete(id).await.map_err(store_failed)?;
        phase("delete", started);
        Ok(Response::new(DeleteDocumentResponse {}))
    }

    async fn stats(
        &self,
        _request: Request<StatsRequest>,
    ) -> Result<Response<StatsResponse>, Status> {
        let stats = self.store.stats().await.map_err(store_failed)?;
        Ok(Response::new(StatsResponse {
            documents: stats.documents,
            chunks: stats.chunks,
        }))
    }
}

fn citation(number: u32, hit: Hit) -> Citation {
    Citation {
        number,
        document_id: hit.document_id,
        document_name: hit.document_name,
        passage: hit.text,
        chunk_index: hit.chunk_index,
        score: hit.score,
        heading: hit.heading,
    }
}

fn found(hits: &[Hit]) -> &'static str {
    if hits.is_empty() { "no" } else { "yes" }
}

fn phase(phase: &'static str, started: Instant) {
    metrics::histogram!("lotoai_rag_server_phase_seconds", "phase" => phase)
        .record(started.elapsed().as_secs_f64());
}

fn no_vector(error: EmbedError) -> Status {
    tracing::warn!(error = %Report::from_error(&error), "no vector for a question");
    Status::unavailable(format!(
        "the question could not be turned into a vector: {error}; try again"
    ))
}

fn store_failed(error: StoreError) -> Status {
    let failure = error.failure();
    tracing::error!(error = %Report::from_error(error), "the vector store failed");
    match failure {
        Some(Failure::Unavailable | Failure::Deadline | Failure::Exhausted) => {
            Status::unavailable("the vector store is not available; try again")
        }
        Some(Failure::TooLarge) => {
            Status::resource_exhausted("the vector store takes no message of this size")
        }
        Some(Failure::Unauthenticated | Failure::Missing | Failure::Refused) | None => {
            Status::internal("the vector store failed; the server's log says why")
        }
    }
}

#[cfg(test)]
mod tests;
