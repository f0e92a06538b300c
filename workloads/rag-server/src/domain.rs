//! What the store keeps and finds, already checked.

use lotoai_policy::documents::Readable;

/// Numbers in a vector.
pub const DIMENSIONS: usize = 384;

/// A document with all its chunks.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Identity.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Knowledge base that it belongs to.
    pub knowledge_base: String,
    /// OIDC `sub` of the uploader, who may always read it.
    pub owner: String,
    /// Groups that may read it; [`lotoai_policy::EVERYBODY`] = all.
    pub groups: Vec<String>,
    /// Its chunks in order.
    pub chunks: Vec<Chunk>,
}

/// A passage of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// The text.
    pub text: String,
    /// Nearest heading above it; empty if there is none.
    pub heading: String,
    /// [`DIMENSIONS`] finite numbers, not all zero.
    pub vector: Vec<f32>,
}

/// A search.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// [`DIMENSIONS`] finite numbers, not all zero.
    pub vector: Vec<f32>,
    /// The most hits wanted.
    pub limit: usize,
    /// What who asks may read, whose subject is never empty: no other chunk is ever a candidate.
    pub readable: Readable,
    /// Only this knowledge base; `None` = all.
    pub knowledge_base: Option<String>,
    /// Only hits of at least this cosine similarity.
    pub min_score: Option<f32>,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The document.
    pub document_id: String,
    /// Its name.
    pub document_name: String,
    /// Place of the chunk in the document, from 0.
    pub chunk_index: u32,
    /// The text of the chunk.
    pub text: String,
    /// Nearest heading above it; empty if there is none.
    pub heading: String,
    /// Cosine similarity.
    pub score: f32,
}

/// Size of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Documents that have chunks.
    pub documents: u64,
    /// Chunks.
    pub chunks: u64,
}
