//! Reads what ingestion reports and keeps the rows of documents current. Every event may come
//! twice, late, or about content that was replaced: the store ignores those.

use std::time::Duration;

use lotoai_contracts::events::{
    DocumentFailed, DocumentIndexed, DocumentProgressed, Event, IngestionStep,
};
use lotoai_kit::rabbitmq::{Delivery, Outcome};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{Store, StoreError};

/// The queue that ingestion's reports arrive in.
pub const QUEUE: &str = "gateway";
/// Reports in flight; each is one statement.
pub const PREFETCH: u16 = 16;

/// A report waits in the process for this long before the next try while the database is away: a
/// message that went back to the queue too often would end as a dead letter, and its document
/// would stay `indexing` for ever.
const PAUSE: Duration = Duration::from_secs(5);

/// Handles one report. While the database is away it waits here, until the process stops.
pub async fn handle(store: &Store, stop: &CancellationToken, delivery: Delivery) -> Outcome {
    let (outcome, label) = loop {
        match apply(store, &delivery).await {
            Ok(true) => break (Outcome::Done, "applied"),
            Ok(false) => break (Outcome::Done, "ignored"),
            Err(Refusal::Malformed(reason)) => break (Outcome::Reject(reason), "rejected"),
            Err(Refusal::Store(error)) => {
                let away = error.is_away();
                let error = crate::error::chain(&error);
                tracing::warn!(error, "a report of ingestion waits for the database");
                if !away {
                    break (Outcome::Retry, "retried");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => break (Outcome::Retry, "retried"),
        }
    };
    metrics::counter!("lotoai_gateway_reports_total",
        "event" => delivery.routing_key, "outcome" => label)
    .increment(1);
    outcome
}

async fn apply(store: &Store, delivery: &Delivery) -> Result<bool, Refusal> {
    match delivery.routing_key.as_str() {
        DocumentProgressed::NAME => progressed(store, &delivery.body).await,
        DocumentIndexed::NAME => indexed(store, &delivery.body).await,
        DocumentFailed::NAME => failed(store, &delivery.body).await,
        other => Err(Refusal::Malformed(format!(
            "no handler for the event {other:?}"
        ))),
    }
}

enum Refusal {
    Malformed(String),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn progressed(store: &Store, body: &[u8]) -> Result<bool, Refusal> {
    let event: DocumentProgressed = parse(body)?;
    let (done, total) = (count(event.done), count(event.total));
    let id = document_id(&event.document_id)?;
    Ok(store
        .document_progressed(id, &event.content_hash, step(event.step), done, total)
        .await?)
}

async fn indexed(store: &Store, body: &[u8]) -> Result<bool, Refusal> {
    let event: DocumentIndexed = parse(body)?;
    let id = document_id(&event.document_id)?;
    Ok(store
        .document_indexed(id, &event.content_hash, count(event.chunks))
        .await?)
}

async fn failed(store: &Store, body: &[u8]) -> Result<bool, Refusal> {
    let event: DocumentFailed = parse(body)?;
    let id = document_id(&event.document_id)?;
    let (code, message) = (clean(&event.code), clean(&event.message));
    Ok(store
        .document_failed(id, &event.content_hash, step(event.step), &code, &message)
        .await?)
}

fn parse<E: Event>(body: &[u8]) -> Result<E, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::Malformed(format!("{} cannot be read: {error}", E::NAME)))
}

fn document_id(text: &str) -> Result<Uuid, Refusal> {
    Uuid::parse_str(text).map_err(|_| Refusal::Malformed("document_id is not a UUID".into()))
}

fn count(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn clean(text: &str) -> String {
    crate::domain::text::without_nul(text)
}

/// The step as the API shows it.
fn step(step: IngestionStep) -> &'static str {
    match step {
        IngestionStep::Fetching => "fetching",
        IngestionStep::Parsing => "parsing",
        IngestionStep::Chunking => "chunking",
        IngestionStep::Embedding => "embedding",
        IngestionStep::Storing => "storing",
    }
}
