//! Collections in memory that do with the messages of Qdrant's API what Qdrant does, as far as we
//! use it. What we do not use is refused, so that a new use fails here.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionConfig, CollectionInfo, CollectionOperationResponse, CollectionParams, Condition,
    CountPoints, CountResponse, CountResult, CreateCollection, CreateFieldIndexCollection,
    DeletePoints, FieldCondition, Filter, GetCollectionInfoRequest, GetCollectionInfoResponse,
    PayloadSchemaInfo, PointId, PointsOperationResponse, QueryPoints, QueryResponse, ScoredPoint,
    UpdateResult, UpsertPoints, Value, query, vector, vector_input,
};
use tonic::Status;

type Fields = HashMap<String, Value>;

#[derive(Debug, Default)]
pub(crate) struct Engine {
    collections: BTreeMap<String, Collection>,
    /// Whether the next hits are larger than a message may be.
    inflated: bool,
}

#[derive(Debug)]
struct Collection {
    info: CollectionInfo,
    points: BTreeMap<String, (Vec<f32>, Fields)>,
}

impl Collection {
    fn size(&self) -> Result<usize, Status> {
        let params = self.info.config.as_ref().unwrap().params.as_ref().unwrap();
        match params.vectors_config.as_ref().unwrap().config.as_ref() {
            Some(Config::Params(vectors)) => Ok(usize::try_from(vectors.size).unwrap()),
            _ => Err(Status::unimplemented("named vectors")),
        }
    }
}

impl Engine {
    pub(crate) fn info(&self, name: &str) -> Option<&CollectionInfo> {
        self.collections.get(name).map(|found| &found.info)
    }

    pub(crate) fn inflate(&mut self) {
        self.inflated = true;
    }

    pub(crate) fn forget(&mut self) {
        self.collections.clear();
    }

    fn find(&mut self, name: &str) -> Result<&mut Collection, Status> {
        let missing =
            || Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"));
        self.collections.get_mut(name).ok_or_else(missing)
    }

    pub(crate) fn create(
        &mut self,
        request: CreateCollection,
    ) -> Result<CollectionOperationResponse, Status> {
        let name = request.collection_name;
        if self.collections.contains_key(&name) {
            let message = format!("Wrong input: Collection `{name}` already exists!");
            return Err(Status::already_exists(message));
        }
        let params = CollectionParams {
            shard_number: request.shard_number.unwrap_or(1),
            vectors_config: request.vectors_config,
            replication_factor: request.replication_factor,
            write_consistency_factor: request.write_consistency_factor,
            ..CollectionParams::default()
        };
        let config = CollectionConfig {
            params: Some(params),
            ..CollectionConfig::default()
        };
        let collection = Collection {
            info: CollectionInfo {
                config: Some(config),
                ..CollectionInfo::default()
            },
            points: BTreeMap::new(),
        };
        self.collections.insert(name, collection);
        Ok(CollectionOperationResponse {
            result: true,
            time: 0.0,
        })
    }

    pub(crate) fn get(
        &mut self,
        request: GetCollectionInfoRequest,
    ) -> Result<GetCollectionInfoResponse, Status> {
        let info = self.find(&request.collection_name)?.info.clone();
        Ok(GetCollectionInfoResponse {
            result: Some(info),
            time: 0.0,
        })
    }

    pub(crate) fn index(
        &mut self,
        request: CreateFieldIndexCollection,
    ) -> Result<PointsOperationResponse, Status> {
        let data_type = request.field_type() as i32 + 1;
        let collection = self.find(&request.collection_name)?;
        let schema = PayloadSchemaInfo {
            data_type,
            ..PayloadSchemaInfo::default()
        };
        let all = &mut collection.info.payload_schema;
        all.insert(request.field_name, schema);
        Ok(done())
    }

    pub(crate) fn upsert(
        &mut self,
        request: UpsertPoints,
    ) -> Result<PointsOperationResponse, Status> {
        waited_for(request.wait)?;
        let collection = self.find(&request.collection_name)?;
        let size = collection.size()?;
        for point in request.points {
            let id = point.id.and_then(|id| id.point_id_options);
            let Some(PointIdOptions::Uuid(id)) = id else {
                return Err(Status::unimplemented("numbers as ids"));
            };
            let vectors = point.vectors.and_then(|all| all.vectors_options);
            let dense = match vectors {
                Some(VectorsOptions::Vector(one)) => one.vector,
                _ => return Err(Status::unimplemented("named vectors")),
            };
            let Some(vector::Vector::Dense(dense)) = dense else {
                return Err(Status::unimplemented("vectors that are not dense"));
            };
            if dense.data.len() != size {
                let message = format!(
                    "Wrong input: Vector dimension error: expected dim: {size}, got {}",
                    dense.data.len()
                );
                return Err(Status::invalid_argument(message));
            }
            collection.points.insert(id, (dense.data, point.payload));
        }
        Ok(done())
    }

    pub(crate) fn delete(
        &mut self,
        request: DeletePoints,
    ) -> Result<PointsOperationResponse, Status> {
        waited_for(request.wait)?;
        let selector = request.points.and_then(|all| all.points_selector_one_of);
        let Some(PointsSelectorOneOf::Filter(filter)) = selector else {
            return Err(Status::unimplemented("removing by id"));
        };
        let collection = self.find(&request.collection_name)?;
        let ids = ids(collection, Some(&filter))?;
        for id in ids {
            collection.points.remove(&id);
        }
        Ok(done())
    }

    pub(crate) fn count(&mut self, request: CountPoints) -> Result<CountResponse, Status> {
        if request.exact != Some(true) {
            return Err(Status::unimplemented("estimates"));
        }
        let collection = self.find(&request.collection_name)?;
        let count = ids(collection, request.filter.as_ref())?.len() as u64;
        Ok(CountResponse {
            result: Some(CountResult { count }),
            ..CountResponse::default()
        })
    }

    pub(crate) fn query(&mut self, request: QueryPoints) -> Result<QueryResponse, Status> {
        let nearest = match request.query.and_then(|query| query.variant) {
            Some(query::Variant::Nearest(input)) => input.variant,
            _ => return Err(Status::unimplemented("queries but nearest")),
        };
        let Some(vector_input::Variant::Dense(wanted)) = nearest else {
            return Err(Status::unimplemented("vectors that are not dense"));
        };
        let inflated = std::mem::take(&mut self.inflated);
        let collection = self.find(&request.collection_name)?;
        let mut found = Vec::new();
        for id in ids(collection, request.filter.as_ref())? {
            let (vector, payload) = &collection.points[&id];
            let score = cosine(&wanted.data, vector);
            if request.score_threshold.is_none_or(|least| score >= least) {
                found.push(ScoredPoint {
                    id: Some(PointId {
                        point_id_options: Some(PointIdOptions::Uuid(id)),
                    }),
                    payload: payload.clone(),
                    score,
                    ..ScoredPoint::default()
                });
            }
        }
        if inflated && let Some(hit) = found.first_mut() {
            let text = "x".repeat(lotoai_kit::MAX_GRPC_MESSAGE_BYTES + 1);
            hit.payload.insert("text".to_owned(), Value::from(text));
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        // Qdrant gives ten when it is told no number.
        found.truncate(usize::try_from(request.limit.unwrap_or(10)).unwrap());
        Ok(QueryResponse {
            result: found,
            ..QueryResponse::default()
        })
    }
}

/// Whoever does not wait may be told of a write that is lost.
fn waited_for(wait: Option<bool>) -> Result<(), Status> {
    match wait {
        Some(true) => Ok(()),
        _ => Err(Status::unimplemented("writes that are not waited for")),
    }
}

fn done() -> PointsOperationResponse {
    PointsOperationResponse {
        result: Some(UpdateResult::default()),
        ..PointsOperationResponse::default()
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

fn ids(collection: &Collection, filter: Option<&Filter>) -> Result<Vec<String>, Status> {
    let mut ids = Vec::new();
    for (id, (_, fields)) in &collection.points {
        if filter.map_or(Ok(true), |filter| holds(filter, fields))? {
            ids.push(id.clone());
        }
    }
    Ok(ids)
}

fn holds(filter: &Filter, fields: &Fields) -> Result<bool, Status> {
    if filter.min_should.is_some() {
        return Err(Status::unimplemented("min_should"));
    }
    let check = |condition: &Condition| match &condition.condition_one_of {
        Some(ConditionOneOf::Filter(nested)) => holds(nested, fields),
        Some(ConditionOneOf::Field(field)) => of_field(field, fields),
        _ => Err(Status::unimplemented("conditions but on fields")),
    };
    let all =
        |conditions: &[Condition]| conditions.iter().map(check).collect::<Result<Vec<_>, _>>();
    let (must, should) = (all(&filter.must)?, all(&filter.should)?);
    let must_not = all(&filter.must_not)?;
    Ok(must.iter().all(|held| *held)
        && (should.is_empty() || should.contains(&true))
        && !must_not.contains(&true))
}

fn of_field(condition: &FieldCondition, fields: &Fields) -> Result<bool, Status> {
    let kinds: Vec<&Kind> = match fields.get(&condition.key).and_then(|v| v.kind.as_ref()) {
        None => Vec::new(),
        // A condition on a list holds when it holds for an entry.
        Some(Kind::ListValue(list)) => {
            let entries = list.values.iter();
            entries.filter_map(|entry| entry.kind.as_ref()).collect()
        }
        Some(single) => vec![single],
    };
    if let Some(range) = &condition.range {
        let within = |number: f64| {
            range.gte.is_none_or(|least| number >= least)
                && range.gt.is_none_or(|below| number > below)
                && range.lte.is_none_or(|most| number <= most)
                && range.lt.is_none_or(|above| number < above)
        };
        return Ok(kinds.iter().any(|kind| match kind {
            Kind::IntegerValue(number) => within(*number as f64),
            Kind::DoubleValue(number) => within(*number),
            _ => false,
        }));
    }
    let wanted = condition
        .r#match
        .as_ref()
        .and_then(|m| m.match_value.as_ref());
    let is = |test: &dyn Fn(&Kind) -> bool| kinds.iter().any(|kind| test(kind));
    match wanted {
        Some(MatchValue::Keyword(text)) => Ok(is(
            &|kind| matches!(kind, Kind::StringValue(found) if found == text),
        )),
        Some(MatchValue::Keywords(any)) => Ok(is(
            &|kind| matches!(kind, Kind::StringValue(found) if any.strings.contains(found)),
        )),
        Some(MatchValue::Integer(number)) => Ok(is(
            &|kind| matches!(kind, Kind::IntegerValue(found) if found == number),
        )),
        _ => Err(Status::unimplemented("this kind of match")),
    }
}
