//! Messages to domain values. Every refusal names the field, the fault and the fix.

use lotoai_contracts::v1;
use lotoai_policy::documents::{Readable, readable_by};
use tonic::Status;

use crate::domain::{Chunk, DIMENSIONS, Document};

/// Hits of one search.
const MAX_LIMIT: u32 = 50;
/// Bytes of a question: what the model server embeds at most.
const MAX_TEXT: usize = 8 * 1024;
/// Bytes of a chunk: the longest that ingestion may be set to, 4000 characters of 4 bytes.
const MAX_CHUNK_TEXT: usize = 16 * 1024;
/// Bytes of an id, a group or a knowledge base.
const MAX_ID: usize = 256;
/// Bytes of a name or a heading.
const MAX_NAME: usize = 1024;
/// Groups of a document.
const MAX_GROUPS: usize = 256;
/// Groups of a caller: more than a token has room for.
const MAX_CALLER_GROUPS: usize = 10_000;
/// Chunks of a document.
const MAX_CHUNKS: usize = 10_000;

/// A search, still without the vector of its question.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) question: String,
    pub(crate) limit: usize,
    pub(crate) readable: Readable,
    pub(crate) knowledge_base: Option<String>,
    pub(crate) min_score: Option<f32>,
}

pub(crate) fn search(request: v1::SearchRequest) -> Result<Search, Status> {
    text("query", &request.query, MAX_TEXT)?;
    if !(1..=MAX_LIMIT).contains(&request.limit) {
        return invalid(
            "limit",
            format!("is {}; send 1 to {MAX_LIMIT}", request.limit),
        );
    }
    if let Some(score) = request.min_score
        && !(-1.0..=1.0).contains(&score)
    {
        return invalid("min_score", format!("is {score}; send -1 to 1"));
    }
    let mut caller = request.caller.unwrap_or_default();
    text("caller.subject", &caller.subject, MAX_ID)?;
    number("caller.groups", &caller.groups, MAX_CALLER_GROUPS)?;
    // A company calls its groups what it likes. No document is open to one that none can have.
    caller
        .groups
        .retain(|group| text("group", group, MAX_ID).is_ok());
    let knowledge_base = Some(request.knowledge_base).filter(|name| !name.is_empty());
    if let Some(name) = &knowledge_base {
        text("knowledge_base", name, MAX_ID)?;
    }
    Ok(Search {
        question: request.query,
        limit: request.limit as usize,
        readable: readable_by(&caller.subject, &caller.groups),
        knowledge_base,
        min_score: request.min_score,
    })
}

pub(crate) fn document(
    request: v1::ReplaceDocumentRequest,
    model: &str,
) -> Result<Document, Status> {
    text("document_id", &request.document_id, MAX_ID)?;
    text("document_name", &request.document_name, MAX_NAME)?;
    text("knowledge_base", &request.knowledge_base, MAX_ID)?;
    text("owner", &request.owner, MAX_ID)?;
    groups("groups", &request.groups)?;
    if request.embedding_model != model {
        let fault = format!(
            "is {:?}; this store keeps vectors of {model:?}",
            request.embedding_model
        );
        return invalid("embedding_model", fault);
    }
    Ok(Document {
        id: request.document_id,
        name: request.document_name,
        knowledge_base: request.knowledge_base,
        owner: request.owner,
        groups: request.groups,
        chunks: chunks(request.chunks)?,
    })
}

pub(crate) fn document_id(request: v1::DeleteDocumentRequest) -> Result<String, Status> {
    text("document_id", &request.document_id, MAX_ID)?;
    Ok(request.document_id)
}

fn chunks(mut chunks: Vec<v1::Chunk>) -> Result<Vec<Chunk>, Status> {
    if chunks.len() > MAX_CHUNKS {
        return invalid(
            "chunks",
            format!("has {}; send at most {MAX_CHUNKS}", chunks.len()),
        );
    }
    chunks.sort_by_key(|chunk| chunk.index);
    chunks
        .into_iter()
        .enumerate()
        .map(|(place, chunk)| {
            if chunk.index as usize != place {
                let fault =
                    format!("has no chunk with index {place}; number them from 0, each once");
                return invalid("chunks", fault);
            }
            text(
                &format!("chunks[{place}].text"),
                &chunk.text,
                MAX_CHUNK_TEXT,
            )?;
            if chunk.heading.len() > MAX_NAME {
                return too_long(
                    &format!("chunks[{place}].heading"),
                    chunk.heading.len(),
                    MAX_NAME,
                );
            }
            if let Some(fault) = fault_of_vector(&chunk.vector) {
                return invalid(&format!("chunks[{place}].vector"), fault);
            }
            Ok(Chunk {
                text: chunk.text,
                heading: chunk.heading,
                vector: chunk.vector,
            })
        })
        .collect()
}

/// What keeps these numbers from being a vector of the store.
pub(crate) fn fault_of_vector(vector: &[f32]) -> Option<String> {
    if vector.len() != DIMENSIONS {
        Some(format!("has {} numbers; send {DIMENSIONS}", vector.len()))
    } else if let Some(place) = vector.iter().position(|number| !number.is_finite()) {
        Some(format!(
            "has {} at {place}; send finite numbers",
            vector[place]
        ))
    } else if vector.iter().all(|number| *number == 0.0) {
        Some("has zeros only and so no direction; send what the model made".to_owned())
    } else {
        None
    }
}

fn number(field: &str, groups: &[String], most: usize) -> Result<(), Status> {
    if groups.len() > most {
        return invalid(field, format!("has {}; send at most {most}", groups.len()));
    }
    Ok(())
}

fn groups(field: &str, groups: &[String]) -> Result<(), Status> {
    number(field, groups, MAX_GROUPS)?;
    groups
        .iter()
        .enumerate()
        .try_for_each(|(place, group)| text(&format!("{field}[{place}]"), group, MAX_ID))
}

fn text(field: &str, value: &str, max: usize) -> Result<(), Status> {
    if value.trim().is_empty() {
        return invalid(field, "is empty; it must be set");
    }
    if value.len() > max {
        too_long(field, value.len(), max)
    } else {
        Ok(())
    }
}

fn too_long<T>(field: &str, length: usize, max: usize) -> Result<T, Status> {
    invalid(field, format!("has {length} bytes; send at most {max}"))
}

fn invalid<T>(field: &str, fault: impl std::fmt::Display) -> Result<T, Status> {
    Err(Status::invalid_argument(format!("{field} {fault}")))
}

#[cfg(test)]
mod tests;
