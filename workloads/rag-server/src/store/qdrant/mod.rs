//! The store in a Qdrant server or cluster, over gRPC. Several processes may use it at once.
//!
//! Of the crate `qdrant-client` the messages and stubs are used, on a channel of our own: its
//! client knows no authority but the system's, takes answers of any size and prints.

mod collection;
mod connect;
mod convert;

use std::time::Duration;

use async_trait::async_trait;
use qdrant_client::qdrant::{
    CollectionInfo, CountPoints, DeletePoints, PointsSelector, QueryPoints, UpsertPoints,
};
use snafu::ResultExt;
use tonic::{Code, Response, Status};

use super::error::{CallSnafu, Failure, StoreError};
use super::filter::Filter;
use super::{VectorStore, filter, payload};
use crate::config::QdrantArgs;
use crate::domain::{Document, Hit, Query, Stats};

use connect::Clients;

/// Points of one write: with texts of the greatest length about 5 MiB.
const WRITE_POINTS: usize = 256;

/// How long calls may take, and how often what may be repeated is.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Of a call that reads, repetitions included.
    read: Duration,
    /// Of a call that writes, repetitions included.
    write: Duration,
    /// The pauses before repetitions.
    pauses: [Duration; 3],
}

impl Default for Limits {
    /// A search is waited for by a person. A write waits for the replicas, and a peer that restarts
    /// is away for some seconds.
    fn default() -> Self {
        Self {
            read: Duration::from_secs(5),
            write: Duration::from_secs(30),
            pauses: [100, 400, 1600].map(Duration::from_millis),
        }
    }
}

/// A collection in Qdrant.
#[derive(Debug)]
pub struct Qdrant {
    clients: Clients,
    collection: String,
    layout: collection::Layout,
    limits: Limits,
}

impl Qdrant {
    /// A client of the collection of `args` at `url`. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// When the address, the key or the authority cannot be used.
    pub fn new(url: &url::Url, args: &QdrantArgs) -> Result<Self, StoreError> {
        Ok(Self {
            clients: Clients::new(url, args)?,
            collection: args.qdrant_collection.clone(),
            layout: collection::Layout {
                shards: args.qdrant_shards,
                replication_factor: args.qdrant_replication_factor,
            },
            limits: Limits::default(),
        })
    }

    /// Makes the collection and its indexes, as far as they are missing.
    ///
    /// # Errors
    ///
    /// When Qdrant does not answer or refuses, or has another collection of this name.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let info = match self.info().await? {
            Some(info) => info,
            None => self.create().await?,
        };
        collection::check(&self.collection, &info)?;
        for request in collection::missing_indexes(&self.collection, &info) {
            self.repeat("index a field", self.limits.write, || {
                let (mut points, request) = (self.clients.points(), request.clone());
                async move { points.create_field_index(request).await }
            })
            .await?;
        }
        Ok(())
    }

    /// Whether the collection is there and answers. One that is gone, as after a new volume, is
    /// made again.
    ///
    /// # Errors
    ///
    /// As [`Qdrant::prepare`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        if self.info().await?.is_some() {
            return Ok(());
        }
        tracing::warn!(collection = self.collection, "the collection is gone");
        self.prepare().await
    }

    /// Not repeated: a second one would be refused. Whoever else made it meanwhile is as good.
    async fn create(&self) -> Result<CollectionInfo, StoreError> {
        let request = collection::create(&self.collection, self.layout);
        let mut collections = self.clients.collections();
        let created = once(
            "create the collection",
            self.limits.write,
            collections.create(request),
        );
        let refused = created.await.err();
        match (self.info().await?, refused) {
            (Some(info), None) => {
                tracing::info!(collection = self.collection, "made the collection");
                Ok(info)
            }
            (Some(info), Some(_)) => Ok(info),
            (None, Some(error)) => Err(error),
            (None, None) => {
                let absent = Status::not_found("it is not there after it was made");
                failed("create the collection", absent)
            }
        }
    }

    async fn info(&self) -> Result<Option<CollectionInfo>, StoreError> {
        let asked = self.repeat("find the collection", self.limits.read, || {
            let mut collections = self.clients.collections();
            let request = collection::get(&self.collection);
            async move { collections.get(request).await }
        });
        match asked.await {
            Ok(answer) => Ok(answer.result),
            Err(error) if error.failure() == Some(Failure::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn count(&self, filter: Option<Filter>) -> Result<u64, StoreError> {
        let request = CountPoints {
            collection_name: self.collection.clone(),
            filter: filter.map(convert::filter),
            exact: Some(true),
            timeout: Some(self.limits.read.as_secs().max(1)),
            ..CountPoints::default()
        };
        let answer = self
            .repeat("count", self.limits.read, || {
                let (mut points, request) = (self.clients.points(), request.clone());
                async move { points.count(request).await }
            })
            .await?;
        Ok(answer.result.unwrap_or_default().count)
    }

    async fn remove(&self, filter: Filter) -> Result<(), StoreError> {
        let request = DeletePoints {
            collection_name: self.collection.clone(),
            wait: Some(true),
            points: Some(PointsSelector::from(convert::filter(filter))),
            ..DeletePoints::default()
        };
        self.repeat("remove chunks", self.limits.write, || {
            let (mut points, request) = (self.clients.points(), request.clone());
            async move { points.delete(request).await }
        })
        .await
        .map(drop)
    }

    /// Asks again while Qdrant is away, within `limit`. Only for what does the same when it is done
    /// twice: reading, writing points under ids of their content's place, removing.
    async fn repeat<T, F, A>(
        &self,
        what: &'static str,
        limit: Duration,
        ask: F,
    ) -> Result<T, StoreError>
    where
        F: Fn() -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let asking = async {
            for pause in self.limits.pauses {
                match ask().await {
                    Err(status) if status.code() == Code::Unavailable => {
                        tokio::time::sleep(pause).await;
                    }
                    answer => return answer,
                }
            }
            ask().await
        };
        once(what, limit, asking).await
    }
}

/// Asks once, within `limit`.
async fn once<T>(
    what: &'static str,
    limit: Duration,
    asking: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, StoreError> {
    let silence = || Status::deadline_exceeded(format!("no answer within {limit:?}"));
    let answer = tokio::time::timeout(limit, asking).await;
    match answer.unwrap_or_else(|_| Err(silence())) {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => failed(what, status),
    }
}

fn failed<T>(what: &'static str, status: Status) -> Result<T, StoreError> {
    let failure = Failure::of(status.code());
    Err(status).context(CallSnafu { what, failure })
}

#[async_trait]
impl VectorStore for Qdrant {
    async fn replace(&self, document: Document) -> Result<(), StoreError> {
        let count = document.chunks.len();
        let points: Vec<_> = payload::points(&document)
            .map(|point| point.map(convert::point))
            .collect::<Result<_, _>>()?;
        for some in points.chunks(WRITE_POINTS) {
            self.repeat("write chunks", self.limits.write, || {
                let mut points = self.clients.points();
                // Megabytes: copied once for each attempt.
                let request = UpsertPoints {
                    collection_name: self.collection.clone(),
                    wait: Some(true),
                    points: some.to_vec(),
                    ..UpsertPoints::default()
                };
                async move { points.upsert(request).await }
            })
            .await?;
        }
        self.remove(filter::beyond(&document.id, count)).await
    }

    async fn delete(&self, document_id: String) -> Result<(), StoreError> {
        self.remove(filter::of_document(&document_id)).await
    }

    async fn search(&self, query: Query) -> Result<Vec<Hit>, StoreError> {
        let request = QueryPoints {
            collection_name: self.collection.clone(),
            filter: Some(convert::filter(filter::of_query(&query))),
            query: Some(convert::nearest(query.vector)),
            score_threshold: query.min_score,
            limit: Some(query.limit as u64),
            with_payload: Some(true.into()),
            timeout: Some(self.limits.read.as_secs().max(1)),
            ..QueryPoints::default()
        };
        let answer = self
            .repeat("search", self.limits.read, || {
                let (mut points, request) = (self.clients.points(), request.clone());
                async move { points.query(request).await }
            })
            .await?;
        answer.result.into_iter().map(convert::hit).collect()
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        Ok(Stats {
            documents: self.count(Some(filter::first_chunks())).await?,
            chunks: self.count(None).await?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
