//! Conditions on stored chunks, whichever engine checks them.

use lotoai_policy::documents::Readable;

use super::payload::{CHUNK_INDEX, DOCUMENT_ID, GROUPS, KNOWLEDGE_BASE, OWNER};
use crate::domain::Query;

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
    let mut all = vec![of_readable(&query.readable)];
    if let Some(name) = &query.knowledge_base {
        all.push(Filter::Text(KNOWLEDGE_BASE, name.clone()));
    }
    Filter::All(all)
}

/// [`Readable::includes`], as a condition.
fn of_readable(readable: &Readable) -> Filter {
    Filter::Any(vec![
        Filter::Text(OWNER, readable.subject.clone()),
        Filter::OneOf(GROUPS, readable.groups.clone()),
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
