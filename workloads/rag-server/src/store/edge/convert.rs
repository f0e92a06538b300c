//! Conditions in the words of the embedded engine.

use qdrant_edge::{
    AnyVariants, Condition, FieldCondition, Filter, JsonPath, Match, Range, ValueVariants,
};

use crate::store::filter::Filter as Ours;

/// The filter of a condition.
pub(super) fn convert(filter: Ours) -> Filter {
    match filter {
        Ours::All(all) => Filter {
            must: Some(all.into_iter().map(condition).collect()),
            ..Filter::new()
        },
        Ours::Any(any) => Filter {
            should: Some(any.into_iter().map(condition).collect()),
            ..Filter::new()
        },
        single => Filter::new_must(condition(single)),
    }
}

fn condition(filter: Ours) -> Condition {
    let matches = |field, value| {
        Condition::Field(FieldCondition::new_match(
            path(field),
            Match::new_value(value),
        ))
    };
    match filter {
        nested @ (Ours::All(_) | Ours::Any(_)) => Condition::Filter(convert(nested)),
        Ours::Text(field, text) => matches(field, ValueVariants::String(text)),
        Ours::Number(field, number) => matches(field, ValueVariants::Integer(number.into())),
        Ours::OneOf(field, texts) => {
            let any = Match::new_any(AnyVariants::Strings(texts.into_iter().collect()));
            Condition::Field(FieldCondition::new_match(path(field), any))
        }
        Ours::AtLeast(field, number) => {
            let from = Range {
                gte: Some(f64::from(number).into()),
                gt: None,
                lt: None,
                lte: None,
            };
            Condition::Field(FieldCondition::new_range(path(field), from))
        }
    }
}

/// The path of a field of our payload: a plain name, never parsed.
pub(super) fn path(field: &str) -> JsonPath {
    JsonPath {
        first_key: field.to_owned(),
        rest: Vec::new(),
    }
}
