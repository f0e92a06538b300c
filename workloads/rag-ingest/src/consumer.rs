//! What becomes of a message.
//!
//! The queue moves a message that came back too often to its dead letters, which nobody reads. So none
//! may end there that others wait for: the outcome of an upload is told, and a deletion, whose row is
//! gone already, is published again.

use std::time::Duration;

use lotoai_contracts::events::{
    DocumentDeleted, DocumentFailed, DocumentIndexed, DocumentUploaded, Event, IngestionStep,
};
use lotoai_kit::rabbitmq::{Delivery, Outcome, PublishError};
use lotoai_kit::retry;
use snafu::Report;

use crate::events::publish;
use crate::pipeline::{Error, Pipeline};

/// Work on a message that came back as often as this is not begun again. After five returns the queue
/// gives it up (`x-delivery-limit`); the one before is left for telling that.
const MAX_RETURNS: u32 = 4;

/// Handles a message unless the process stops first: a document takes minutes and may wait for
/// longer, which no stop waits for.
pub(crate) async fn handle(
    stop: impl Future<Output = ()>,
    pipeline: &Pipeline,
    patience: Duration,
    delivery: Delivery,
) -> Outcome {
    let begins = delivery.delivery_count < MAX_RETURNS;
    match delivery.routing_key.as_str() {
        DocumentUploaded::NAME => match serde_json::from_slice(&delivery.body) {
            Ok(document) if begins => tokio::select! {
                biased;
                outcome = index(pipeline, patience, &document) => outcome,
                // It goes back to the place that it had, before the deletion of the document.
                () = stop => Outcome::Retry,
            },
            Ok(document) => tokio::select! {
                biased;
                outcome = give_up(pipeline, patience, &document, delivery.delivery_count) => outcome,
                () = stop => Outcome::Retry,
            },
            Err(error) => Outcome::Reject(format!("not a {}: {error}", DocumentUploaded::NAME)),
        },
        DocumentDeleted::NAME => match serde_json::from_slice(&delivery.body) {
            Ok(document) if begins => tokio::select! {
                biased;
                outcome = delete(pipeline, patience, &document) => outcome,
                () = stop => put_back(pipeline, Duration::ZERO, &document).await,
            },
            Ok(document) => tokio::select! {
                biased;
                outcome = put_back(pipeline, patience, &document) => outcome,
                () = stop => Outcome::Retry,
            },
            Err(error) => Outcome::Reject(format!("not a {}: {error}", DocumentDeleted::NAME)),
        },
        other => Outcome::Reject(format!("unknown event {other:?}")),
    }
}

/// Indexes the document and tells how it ended.
async fn index(pipeline: &Pipeline, patience: Duration, document: &DocumentUploaded) -> Outcome {
    let mut step = IngestionStep::Fetching;
    let error = match pipeline.index(patience, document, &mut step).await {
        Ok(chunks) => {
            metrics::counter!("lotoai_rag_ingest_documents_total", "outcome" => "indexed")
                .increment(1);
            let event = DocumentIndexed {
                document_id: document.document_id.clone(),
                content_hash: document.content_hash.clone(),
                chunks,
            };
            return published(pipeline, patience, &event).await;
        }
        Err(error) => error,
    };
    tracing::warn!(
        document_id = document.document_id,
        ?step,
        error = %Report::from_error(&error),
        "a document cannot be indexed"
    );
    // While the store is away nothing else in the queue can be done either, so the message keeps its
    // place.
    if error.is_absence_of_store() {
        return Outcome::Retry;
    }
    // Bytes that are gone are mostly those of content that was replaced: the newer one may be stored.
    if !matches!(error, Error::Missing)
        && let Err(error) = withdraw(pipeline, patience, document).await
    {
        tracing::warn!(
            document_id = document.document_id,
            error = %Report::from_error(&error),
            "a document's failure is not told yet: what was found of it cannot be forgotten"
        );
        return Outcome::Retry;
    }
    let code = error.permanent_code().unwrap_or("temporarily_unavailable");
    failed(pipeline, patience, document, step, code, error.message()).await
}

/// Tells that the document was begun and broken off again and again, by stops, by a store that is away,
/// or because it takes the process with it.
async fn give_up(
    pipeline: &Pipeline,
    patience: Duration,
    document: &DocumentUploaded,
    returns: u32,
) -> Outcome {
    tracing::warn!(
        document_id = document.document_id,
        returns,
        "a document is given up: no attempt to index it came to an end"
    );
    if let Err(error) = withdraw(pipeline, patience, document).await {
        // The queue would not bring it again, and nobody would hear of it. The row is there: whoever
        // uploads the document again, or deletes it, takes these away.
        tracing::error!(
            document_id = document.document_id,
            error = %Report::from_error(&error),
            "a document failed, and passages of what it was before can still be found"
        );
    }
    let message = format!(
        "indexing the document was broken off {returns} times; upload it again, and split it if \
         that happens again"
    );
    let step = IngestionStep::Fetching;
    failed(pipeline, patience, document, step, "interrupted", message).await
}

/// Has what was found of a document that failed forgotten, before the failure is told: it is of older
/// content, whose file is gone, or of this one, which was indexed before and is told to have failed. What
/// was uploaded meanwhile is behind this message in the queue, and is stored after it.
async fn withdraw(
    pipeline: &Pipeline,
    patience: Duration,
    document: &DocumentUploaded,
) -> Result<(), Error> {
    match forget(pipeline, patience, &document.document_id).await {
        // Nothing was ever stored under an id that the store refuses.
        Err(error) if error.is_refused_by_store() => Ok(()),
        outcome => outcome,
    }
}

async fn failed(
    pipeline: &Pipeline,
    patience: Duration,
    document: &DocumentUploaded,
    step: IngestionStep,
    code: &str,
    message: String,
) -> Outcome {
    metrics::counter!("lotoai_rag_ingest_documents_total", "outcome" => "failed").increment(1);
    let event = DocumentFailed {
        document_id: document.document_id.clone(),
        content_hash: document.content_hash.clone(),
        step,
        code: code.to_owned(),
        message,
    };
    published(pipeline, patience, &event).await
}

/// Does a deletion. While the store is away it waits here, and after that behind whatever else waits.
async fn delete(pipeline: &Pipeline, patience: Duration, document: &DocumentDeleted) -> Outcome {
    match forget(pipeline, patience, &document.document_id).await {
        Ok(()) => Outcome::Done,
        Err(error) if error.is_refused_by_store() => Outcome::Reject(error.message()),
        Err(_) => put_back(pipeline, patience, document).await,
    }
}

/// Has the vector store forget the document, and waits while it is away.
async fn forget(pipeline: &Pipeline, patience: Duration, document_id: &str) -> Result<(), Error> {
    let passes = |error: &Error| {
        let cause = || Report::from_error(error).to_string();
        (!error.is_refused_by_store()).then(cause)
    };
    let forget = || pipeline.forget(document_id);
    retry::while_passing("the vector store", patience, passes, forget).await
}

/// Publishes a deletion again and is done with this message: the other one has not come back yet.
/// That it stands at the end of the queue harms nothing, for a document that was deleted is never
/// uploaded again, only another one of its name.
async fn put_back(pipeline: &Pipeline, patience: Duration, document: &DocumentDeleted) -> Outcome {
    tracing::warn!(
        document_id = document.document_id,
        "a deletion is not done yet: it is published again"
    );
    published(pipeline, patience, document).await
}

/// Tells an event. While the broker or the queue of who is to hear it is away it waits here, so that the
/// message does not come back too often. The work is done again when it could not be told after that:
/// indexing twice changes nothing.
async fn published<E: Event>(pipeline: &Pipeline, patience: Duration, event: &E) -> Outcome {
    let passes = |error: &PublishError| Some(Report::from_error(error).to_string());
    let told = retry::while_passing("the broker", patience, passes, || {
        publish(&*pipeline.events, event)
    });
    match told.await {
        Ok(()) => Outcome::Done,
        Err(error) => {
            tracing::warn!(error = %Report::from_error(&error), "an event was not published");
            Outcome::Retry
        }
    }
}

#[cfg(test)]
mod tests;
