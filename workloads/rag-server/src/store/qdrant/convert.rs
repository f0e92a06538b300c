//! Our words in those of Qdrant, and back.

use std::collections::HashMap;

use qdrant_client::Payload;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{
    Condition, DenseVector, Filter, PointId, PointStruct, Query, Range, ScoredPoint, Value, Vector,
    VectorInput, Vectors, query, vector, vector_input,
};

use crate::domain::Hit;
use crate::store::error::StoreError;
use crate::store::filter::Filter as Ours;
use crate::store::payload::{self, Point};

pub(super) fn filter(ours: Ours) -> Filter {
    match ours {
        Ours::All(all) => Filter::must(all.into_iter().map(condition)),
        Ours::Any(any) => Filter::should(any.into_iter().map(condition)),
        single => Filter::must([condition(single)]),
    }
}

fn condition(ours: Ours) -> Condition {
    match ours {
        nested @ (Ours::All(_) | Ours::Any(_)) => Condition::from(filter(nested)),
        Ours::Text(field, text) => Condition::matches(field, text),
        Ours::OneOf(field, texts) => Condition::matches(field, texts),
        Ours::Number(field, number) => Condition::matches(field, i64::from(number)),
        Ours::AtLeast(field, number) => {
            let from = Range {
                gte: Some(number.into()),
                ..Range::default()
            };
            Condition::range(field, from)
        }
    }
}

pub(super) fn nearest(data: Vec<f32>) -> Query {
    let dense = vector_input::Variant::Dense(DenseVector { data });
    Query {
        variant: Some(query::Variant::Nearest(VectorInput {
            variant: Some(dense),
        })),
    }
}

pub(super) fn point(point: Point<'_>) -> PointStruct {
    let dense = vector::Vector::Dense(DenseVector {
        data: point.vector.to_vec(),
    });
    let vector = Vector {
        vector: Some(dense),
        ..Vector::default()
    };
    PointStruct {
        id: Some(PointId {
            point_id_options: Some(PointIdOptions::Uuid(point.id.to_string())),
        }),
        payload: HashMap::<String, Value>::from(Payload::from(point.fields)),
        vectors: Some(Vectors {
            vectors_options: Some(VectorsOptions::Vector(vector)),
        }),
    }
}

/// A point that was found, as a hit.
pub(super) fn hit(found: ScoredPoint) -> Result<Hit, StoreError> {
    let id = match found.id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Uuid(id)) => id,
        Some(PointIdOptions::Num(id)) => id.to_string(),
        None => String::new(),
    };
    payload::hit(&id, Payload::from(found.payload).into(), found.score)
}
