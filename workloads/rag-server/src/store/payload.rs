//! What is stored beside a vector.

use qdrant_edge::external::uuid::Builder;
use qdrant_edge::{Payload, PointId, ScoredPoint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::StoreError;
use crate::domain::{Document, Hit};

/// Fields that are searched by.
pub(super) const DOCUMENT_ID: &str = "document_id";
pub(super) const KNOWLEDGE_BASE: &str = "knowledge_base";
pub(super) const OWNER: &str = "owner";
pub(super) const GROUPS: &str = "groups";
pub(super) const CHUNK_INDEX: &str = "chunk_index";

/// The payload of a point. Field names are the constants above.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    document_id: String,
    document_name: String,
    knowledge_base: String,
    owner: String,
    groups: Vec<String>,
    chunk_index: u32,
    heading: String,
    text: String,
}

/// The same chunk always has the same id, so writing it twice leaves one point.
pub(super) fn point_id(document_id: &str, chunk_index: u32) -> PointId {
    let mut hash = Sha256::new();
    hash.update(document_id.as_bytes());
    // Ids are of any form: without the mark, ("a", …) and ("a1", …) could collide.
    hash.update([0]);
    hash.update(chunk_index.to_be_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    PointId::Uuid(Builder::from_custom_bytes(bytes).into_uuid())
}

impl Record {
    /// The payload of one chunk of `document`.
    pub(super) fn new(document: &Document, chunk_index: u32, heading: &str, text: &str) -> Self {
        Self {
            document_id: document.id.clone(),
            document_name: document.name.clone(),
            knowledge_base: document.knowledge_base.clone(),
            owner: document.owner.clone(),
            groups: document.groups.clone(),
            chunk_index,
            heading: heading.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The record as the fields of the point `id`.
    pub(super) fn fields(&self, id: PointId) -> Result<Map<String, Value>, StoreError> {
        let fault = |fault: String| StoreError::ReadChunk {
            id: id.to_string(),
            fault,
        };
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(fault("it is no object".to_owned())),
            Err(error) => Err(fault(error.to_string())),
        }
    }

    /// A point that was found, as a hit.
    pub(super) fn hit(point: ScoredPoint) -> Result<Hit, StoreError> {
        let fault = |fault: String| StoreError::ReadChunk {
            id: point.id.to_string(),
            fault,
        };
        let Payload(fields) = point
            .payload
            .ok_or_else(|| fault("it has no payload".to_owned()))?;
        let record: Self = serde_json::from_value(Value::Object(fields))
            .map_err(|error| fault(error.to_string()))?;
        Ok(Hit {
            document_id: record.document_id,
            document_name: record.document_name,
            chunk_index: record.chunk_index,
            text: record.text,
            heading: record.heading,
            score: point.score,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_document_and_index_alone() {
        assert_eq!(point_id("a", 1), point_id("a", 1));
        let ids = [
            point_id("a", 0),
            point_id("a", 1),
            point_id("b", 0),
            point_id("a1", 0),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
