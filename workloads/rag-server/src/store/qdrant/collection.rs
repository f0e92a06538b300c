//! The collection: how it is made, and whether one that is there is ours.

use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollection, CreateFieldIndexCollection, Distance, FieldType,
    GetCollectionInfoRequest, VectorParams, VectorsConfig,
};

use crate::domain::DIMENSIONS;
use crate::store::error::{OtherCollectionSnafu, StoreError};
use crate::store::payload::{CHUNK_INDEX, TEXTS};

/// How a new collection is laid out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// How many parts points are divided into.
    pub(super) shards: u32,
    /// On how many peers each part lies.
    pub(super) replication_factor: u32,
}

impl Layout {
    /// On how many peers a write must be before it is acknowledged: most of those that have it, so
    /// that one may be lost for good.
    const fn write_consistency_factor(self) -> u32 {
        self.replication_factor / 2 + 1
    }
}

pub(super) fn get(name: &str) -> GetCollectionInfoRequest {
    GetCollectionInfoRequest {
        collection_name: name.to_owned(),
    }
}

pub(super) fn create(name: &str, layout: Layout) -> CreateCollection {
    let vectors = VectorParams {
        size: DIMENSIONS as u64,
        distance: Distance::Cosine.into(),
        ..VectorParams::default()
    };
    CreateCollection {
        collection_name: name.to_owned(),
        vectors_config: Some(VectorsConfig {
            config: Some(Config::Params(vectors)),
        }),
        shard_number: Some(layout.shards),
        replication_factor: Some(layout.replication_factor),
        write_consistency_factor: Some(layout.write_consistency_factor()),
        ..CreateCollection::default()
    }
}

/// Vectors of another model are not comparable, and points of somebody else are not ours.
pub(super) fn check(name: &str, info: &CollectionInfo) -> Result<(), StoreError> {
    let params = info.config.as_ref().and_then(|all| all.params.as_ref());
    let vectors = params.and_then(|params| params.vectors_config.as_ref()?.config.as_ref());
    let found = match vectors {
        Some(Config::Params(vectors))
            if vectors.size == DIMENSIONS as u64 && vectors.distance() == Distance::Cosine =>
        {
            return Ok(());
        }
        Some(Config::Params(vectors)) => {
            let distance = vectors.distance().as_str_name();
            format!("vectors of {} numbers compared by {distance}", vectors.size)
        }
        Some(Config::ParamsMap(_)) => "several vectors a point".to_owned(),
        None => "no vectors".to_owned(),
    };
    let needed = format!("one of {DIMENSIONS} numbers compared by Cosine");
    OtherCollectionSnafu {
        name,
        found,
        needed,
    }
    .fail()
}

/// What indexes the fields that are searched by and have none.
pub(super) fn missing_indexes(
    name: &str,
    info: &CollectionInfo,
) -> impl Iterator<Item = CreateFieldIndexCollection> {
    let texts = TEXTS.map(|field| (field, FieldType::Keyword));
    let fields = texts.into_iter().chain([(CHUNK_INDEX, FieldType::Integer)]);
    fields
        .filter(|(field, _)| !info.payload_schema.contains_key(*field))
        .map(|(field, kind)| CreateFieldIndexCollection {
            collection_name: name.to_owned(),
            wait: Some(true),
            field_name: field.to_owned(),
            field_type: Some(kind.into()),
            ..CreateFieldIndexCollection::default()
        })
}
