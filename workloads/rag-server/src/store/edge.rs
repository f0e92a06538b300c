//! The embedded store: Qdrant's engine in this process, one shard in one directory.

mod convert;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use async_trait::async_trait;
use qdrant_edge::{
    CountRequest, CreateIndex, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard,
    EdgeVectorParams, FieldIndexOperations, NamedQuery, Payload, PayloadFieldSchema,
    PayloadSchemaType, PointId, PointInsertOperations, PointOperations, PointStructPersisted,
    QueryEnum, QueryRequest, ScoredPoint, ScoringQuery, UpdateOperation, VectorStructPersisted,
    WithPayloadInterface, WithVector,
};
use snafu::ResultExt;
use tokio::sync::oneshot;

use super::error::{
    AbandonedSnafu, ClosedSnafu, CountSnafu, CrashedSnafu, IndexFieldSnafu, OpenShardSnafu,
    OptimiseSnafu, RemoveSnafu, SearchSnafu, StoreError, UseDirectorySnafu, WriteSnafu,
};
use super::filter::Filter;
use super::payload::{self, CHUNK_INDEX, TEXTS};
use super::{VectorStore, filter, wal};
use crate::domain::{DIMENSIONS, Document, Hit, Query, Stats};

/// Points of one write: keeps a record of the log far below its 32 MiB.
const WRITE_POINTS: usize = 256;
/// Kilobytes of vectors in a segment from which on it gets an HNSW index: about 65,000 vectors.
/// Below, an exact scan takes few milliseconds and misses nothing.
const INDEX_FROM_KB: usize = 100_000;
/// Changed points after which the store is optimised: merged, indexed, cleared of removed points.
const OPTIMISE_AFTER: usize = 5_000;

/// Fields that are searched by, with their kind.
fn indexed() -> impl Iterator<Item = (&'static str, PayloadSchemaType)> {
    let texts = TEXTS.map(|field| (field, PayloadSchemaType::Keyword));
    texts
        .into_iter()
        .chain([(CHUNK_INDEX, PayloadSchemaType::Integer)])
}

/// The embedded store. Cheap to clone; all clones are the same store.
#[derive(Debug, Clone)]
pub struct Edge {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// `None` only while, or after a failure of, opening it again.
    shard: RwLock<Option<EdgeShard>>,
    /// Held by whatever changes the shard. The library's flush panics when another thread is in
    /// the middle of a change, so there is never more than one.
    changing: Mutex<()>,
    changed_points: AtomicUsize,
}

impl Edge {
    /// Opens the store in `directory`, or makes a new one there.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written to, is in use by another process, or holds something
    /// else.
    pub async fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("shard");
        let open = move || {
            let shard = open_shard(&path)?;
            Ok(Self {
                inner: Arc::new(Inner {
                    path,
                    shard: RwLock::new(Some(shard)),
                    changing: Mutex::new(()),
                    // How much had changed before nobody knows.
                    changed_points: AtomicUsize::new(OPTIMISE_AFTER),
                }),
            })
        };
        tokio::task::spawn_blocking(open)
            .await
            .context(CrashedSnafu)?
    }

    /// Merges, indexes and clears the store when much has changed or it was opened just now; true when
    /// it did something. Changes wait meanwhile, searches do not.
    ///
    /// # Errors
    ///
    /// When the library fails.
    pub async fn optimize(&self) -> Result<bool, StoreError> {
        if self.inner.changed_points.load(Ordering::Relaxed) < OPTIMISE_AFTER {
            return Ok(false);
        }
        self.change(|shard, changed| {
            let started = Instant::now();
            let done = shard.optimize().context(OptimiseSnafu)?;
            changed.store(0, Ordering::Relaxed);
            tracing::info!(
                done,
                seconds = started.elapsed().as_secs_f64(),
                "optimised the store"
            );
            Ok(done)
        })
        .await
    }

    /// Closes and opens the store when its log has grown long, and drops the log in between.
    ///
    /// # Errors
    ///
    /// When it cannot be opened again; every later call fails.
    pub async fn shorten_log(&self) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.inner);
        let shorten = move || {
            let path = &inner.path;
            if !wal::is_long(path).context(UseDirectorySnafu { path })? {
                return Ok(());
            }
            let _changing = inner.changing();
            let mut shard = inner.shard.write().unwrap_or_else(PoisonError::into_inner);
            // Two stores cannot have the same directory open: the old one goes first.
            *shard = None;
            *shard = Some(open_shard(path)?);
            Ok(())
        };
        tokio::task::spawn_blocking(shorten)
            .await
            .context(CrashedSnafu)?
    }

    /// Runs `work` where it may block, alone among changes, and flushes what it did: only then may
    /// it be acknowledged, since the library does not replay its log. Whoever leaves before its turn
    /// changes nothing: turns come in no order, and what they ask for next, as to delete what this
    /// would write, may be done by then.
    async fn change<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&EdgeShard, &AtomicUsize) -> Result<T, StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        // Closed when this future is dropped.
        let (waits, _waiting) = oneshot::channel::<()>();
        let change = move || {
            let _changing = inner.changing();
            if waits.is_closed() {
                return AbandonedSnafu.fail();
            }
            let shard = inner.shard();
            let shard = shard.as_ref().ok_or(StoreError::Closed)?;
            let value = work(shard, &inner.changed_points)?;
            shard.flush();
            Ok(value)
        };
        tokio::task::spawn_blocking(change)
            .await
            .context(CrashedSnafu)?
    }

    /// Runs `work` where it may block, beside others.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&EdgeShard) -> Result<T, StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let read = move || match inner.shard().as_ref() {
            Some(shard) => work(shard),
            None => ClosedSnafu.fail(),
        };
        tokio::task::spawn_blocking(read)
            .await
            .context(CrashedSnafu)?
    }
}

impl Inner {
    // A poisoned lock means that the library panicked in the middle of a change. What it flushed
    // before is whole, and the next change is flushed as a whole again.
    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self) -> RwLockReadGuard<'_, Option<EdgeShard>> {
        self.shard.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_shard(path: &Path) -> Result<EdgeShard, StoreError> {
    std::fs::create_dir_all(path).context(UseDirectorySnafu { path })?;
    let removed = wal::shorten(path).context(UseDirectorySnafu { path })?;
    let exists = path.join("edge_config.json").exists();
    let shard = if exists {
        EdgeShard::load(path, Some(config()))
    } else {
        EdgeShard::new(path, config())
    }
    .context(OpenShardSnafu { path })?;
    for (field, kind) in indexed() {
        // Creating an index that is there already changes nothing.
        let index = CreateIndex {
            field_name: convert::path(field),
            field_schema: Some(PayloadFieldSchema::FieldType(kind)),
        };
        shard
            .update(UpdateOperation::FieldIndexOperation(
                FieldIndexOperations::CreateIndex(index),
            ))
            .context(IndexFieldSnafu { field })?;
    }
    shard.flush();
    tracing::info!(
        exists,
        chunks = shard.info().points_count,
        log_files_removed = removed,
        "opened the store"
    );
    Ok(shard)
}

fn config() -> EdgeConfig {
    let vectors = EdgeVectorParams::builder(DIMENSIONS, Distance::Cosine).build();
    let optimizers = EdgeOptimizersConfig {
        indexing_threshold: Some(INDEX_FROM_KB),
        ..Default::default()
    };
    EdgeConfig::builder()
        .vector("", vectors)
        .optimizers(optimizers)
        .build()
}

#[async_trait]
impl VectorStore for Edge {
    async fn replace(&self, document: Document) -> Result<(), StoreError> {
        self.change(move |shard, changed| {
            let count = document.chunks.len();
            let points = points(&document)?;
            changed.fetch_add(points.len(), Ordering::Relaxed);
            for some in points.chunks(WRITE_POINTS) {
                let insert = PointInsertOperations::PointsList(some.to_vec());
                shard
                    .update(UpdateOperation::PointOperation(
                        PointOperations::UpsertPoints(insert),
                    ))
                    .context(WriteSnafu)?;
            }
            remove(shard, filter::beyond(&document.id, count))
        })
        .await
    }

    async fn delete(&self, document_id: String) -> Result<(), StoreError> {
        self.change(move |shard, changed| {
            let filter = filter::of_document(&document_id);
            let count = count(shard, Some(filter.clone()))?;
            changed.fetch_add(count, Ordering::Relaxed);
            remove(shard, filter)
        })
        .await
    }

    async fn search(&self, query: Query) -> Result<Vec<Hit>, StoreError> {
        self.read(move |shard| {
            let filter = convert::convert(filter::of_query(&query));
            let nearest = QueryEnum::Nearest(NamedQuery::default_dense(query.vector));
            let request = QueryRequest {
                prefetches: Vec::new(),
                query: Some(ScoringQuery::Vector(nearest)),
                filter: Some(filter),
                score_threshold: query.min_score.map(Into::into),
                limit: query.limit,
                offset: 0,
                params: None,
                with_vector: WithVector::Bool(false),
                with_payload: WithPayloadInterface::Bool(true),
            };
            let points = shard.query(request).context(SearchSnafu)?;
            points.into_iter().map(hit).collect()
        })
        .await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.read(|shard| {
            let documents = count(shard, Some(filter::first_chunks()))? as u64;
            let chunks = count(shard, None)? as u64;
            Ok(Stats { documents, chunks })
        })
        .await
    }
}

fn points(document: &Document) -> Result<Vec<PointStructPersisted>, StoreError> {
    payload::points(document)
        .map(|point| {
            let point = point?;
            Ok(PointStructPersisted {
                id: PointId::Uuid(point.id),
                vector: VectorStructPersisted::Single(point.vector.to_vec()),
                payload: Some(Payload(point.fields)),
            })
        })
        .collect()
}

fn hit(point: ScoredPoint) -> Result<Hit, StoreError> {
    let id = point.id.to_string();
    let Some(Payload(fields)) = point.payload else {
        let fault = "it has no payload".to_owned();
        return Err(StoreError::ReadChunk { id, fault });
    };
    payload::hit(&id, fields, point.score)
}

fn remove(shard: &EdgeShard, filter: Filter) -> Result<(), StoreError> {
    shard
        .update(UpdateOperation::PointOperation(
            PointOperations::DeletePointsByFilter(convert::convert(filter)),
        ))
        .context(RemoveSnafu)
}

fn count(shard: &EdgeShard, filter: Option<Filter>) -> Result<usize, StoreError> {
    shard
        .count(CountRequest {
            filter: filter.map(convert::convert),
            exact: true,
        })
        .context(CountSnafu)
}

#[cfg(test)]
mod tests;
