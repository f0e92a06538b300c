//! Conditions on stored chunks, whichever engine checks them.

use super::payload::{CHUNK_INDEX, DOCUMENT_ID, GROUPS, KNOWLEDGE_BASE, OWNER};
use crate::domain::{EVERYBODY, Query, Reader};

/// A condition on the fields of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    /// All of these hold.
    All(Vec<Filter>),
    /// One of these holds.
    Any(Vec<Filter>),
    /// The field is this text.
    Text(&'static str, String),
    /// The field, or one of its entries, is one of these texts.
    OneOf(&'static str, Vec<String>),
    /// The field is this number.
    Number(&'static str, u32),
    /// The field is this number or a greater one.
    AtLeast(&'static str, u32),
}

/// Chunks that a query may find. Access is part of the search itself: a chunk that the reader may
/// not read takes no place among the candidates.
pub(super) fn of_query(query: &Query) -> Filter {
    let mut all = vec![readable_by(&query.reader)];
    if let Some(name) = &query.knowledge_base {
        all.push(Filter::Text(KNOWLEDGE_BASE, name.clone()));
    }
    Filter::All(all)
}

/// The owner may read, and so may everybody in one of the document's groups.
fn readable_by(reader: &Reader) -> Filter {
    let groups = std::iter::once(EVERYBODY.to_owned()).chain(reader.groups.iter().cloned());
    Filter::Any(vec![
        Filter::Text(OWNER, reader.subject.clone()),
        Filter::OneOf(GROUPS, groups.collect()),
    ])
}

/// Every chunk of a document.
pub(super) fn of_document(id: &str) -> Filter {
    Filter::Text(DOCUMENT_ID, id.to_owned())
}

/// Chunks of a document from `count` on: what is left of a longer version of it.
pub(super) fn beyond(id: &str, count: usize) -> Filter {
    // Checked to be at most 10,000.
    let from = u32::try_from(count).unwrap_or(u32::MAX);
    Filter::All(vec![of_document(id), Filter::AtLeast(CHUNK_INDEX, from)])
}

/// The first chunk of every document.
pub(super) fn first_chunks() -> Filter {
    Filter::Number(CHUNK_INDEX, 0)
}
