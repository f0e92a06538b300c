//! Conditions on stored chunks.

use qdrant_edge::{
    AnyVariants, Condition, FieldCondition, Filter, JsonPath, Match, Range, ValueVariants,
};

use super::payload::{CHUNK_INDEX, DOCUMENT_ID, GROUPS, KNOWLEDGE_BASE, OWNER};
use crate::domain::{EVERYBODY, Query, Reader};

/// Chunks that a query may find. Access is part of the search itself: a chunk that the reader may
/// not read takes no place among the candidates.
pub(super) fn of_query(query: &Query) -> Filter {
    let mut must = vec![Condition::Filter(readable_by(&query.reader))];
    if let Some(name) = &query.knowledge_base {
        must.push(equals(KNOWLEDGE_BASE, name));
    }
    Filter {
        must: Some(must),
        ..Filter::new()
    }
}

/// The owner may read, and so may everybody in one of the document's groups.
fn readable_by(reader: &Reader) -> Filter {
    let groups = std::iter::once(EVERYBODY.to_owned()).chain(reader.groups.iter().cloned());
    let any = Match::new_any(AnyVariants::Strings(groups.collect()));
    let in_group = Condition::Field(FieldCondition::new_match(path(GROUPS), any));
    Filter {
        should: Some(vec![equals(OWNER, &reader.subject), in_group]),
        ..Filter::new()
    }
}

/// Every chunk of a document.
pub(super) fn of_document(id: &str) -> Filter {
    Filter::new_must(equals(DOCUMENT_ID, id))
}

/// Chunks of a document from `count` on: what is left of a longer version of it.
pub(super) fn beyond(id: &str, count: usize) -> Filter {
    let from = Range {
        gte: Some((count as f64).into()),
        gt: None,
        lt: None,
        lte: None,
    };
    let stale = FieldCondition::new_range(path(CHUNK_INDEX), from);
    let must = vec![equals(DOCUMENT_ID, id), Condition::Field(stale)];
    Filter {
        must: Some(must),
        ..Filter::new()
    }
}

/// The first chunk of every document.
pub(super) fn first_chunks() -> Filter {
    let first = Match::new_value(ValueVariants::Integer(0));
    Filter::new_must(Condition::Field(FieldCondition::new_match(
        path(CHUNK_INDEX),
        first,
    )))
}

/// The path of a field of our payload: a plain name, never parsed.
pub(super) fn path(field: &str) -> JsonPath {
    JsonPath {
        first_key: field.to_owned(),
        rest: Vec::new(),
    }
}

fn equals(field: &str, value: &str) -> Condition {
    let value = Match::new_value(ValueVariants::String(value.to_owned()));
    Condition::Field(FieldCondition::new_match(path(field), value))
}
