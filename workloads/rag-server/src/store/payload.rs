//! What is stored beside a vector.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::error::StoreError;
use crate::domain::{Document, Hit};

/// Fields that are searched by.
pub(super) const DOCUMENT_ID: &str = "document_id";
pub(super) const KNOWLEDGE_BASE: &str = "knowledge_base";
pub(super) const OWNER: &str = "owner";
pub(super) const GROUPS: &str = "groups";
pub(super) const CHUNK_INDEX: &str = "chunk_index";

/// Those of them that are texts, or lists of texts.
pub(super) const TEXTS: [&str; 4] = [DOCUMENT_ID, KNOWLEDGE_BASE, OWNER, GROUPS];

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
pub(super) fn point_id(document_id: &str, chunk_index: u32) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(document_id.as_bytes());
    // Ids are of any form: without the mark, ("a", …) and ("a1", …) could collide.
    hash.update([0]);
    hash.update(chunk_index.to_be_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// A chunk of a document as it is stored.
#[derive(Debug)]
pub(super) struct Point<'a> {
    pub(super) id: Uuid,
    pub(super) vector: &'a [f32],
    pub(super) fields: Map<String, Value>,
}

/// The chunks of a document.
pub(super) fn points(
    document: &Document,
) -> impl ExactSizeIterator<Item = Result<Point<'_>, StoreError>> {
    document.chunks.iter().enumerate().map(|(place, chunk)| {
        // Checked to be at most 10,000.
        let index = u32::try_from(place).unwrap_or(u32::MAX);
        let id = point_id(&document.id, index);
        let record = Record {
            document_id: document.id.clone(),
            document_name: document.name.clone(),
            knowledge_base: document.knowledge_base.clone(),
            owner: document.owner.clone(),
            groups: document.groups.clone(),
            chunk_index: index,
            heading: chunk.heading.clone(),
            text: chunk.text.clone(),
        };
        Ok(Point {
            id,
            vector: &chunk.vector,
            fields: record.fields(id)?,
        })
    })
}

impl Record {
    /// The record as the fields of the point `id`.
    fn fields(&self, id: Uuid) -> Result<Map<String, Value>, StoreError> {
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
}

/// The fields of the point `id`, which was found with `score`, as a hit.
pub(super) fn hit(id: &str, fields: Map<String, Value>, score: f32) -> Result<Hit, StoreError> {
    let record: Record =
        serde_json::from_value(Value::Object(fields)).map_err(|error| StoreError::ReadChunk {
            id: id.to_owned(),
            fault: error.to_string(),
        })?;
    Ok(Hit {
        document_id: record.document_id,
        document_name: record.document_name,
        chunk_index: record.chunk_index,
        text: record.text,
        heading: record.heading,
        score,
    })
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

    /// A stored chunk is found again by this id after an update of the server.
    #[test]
    fn ids_stay_what_they_are() {
        assert_eq!(
            point_id("doc", 3).to_string(),
            "1e558427-2647-8780-8568-d677de03139a"
        );
    }
}
