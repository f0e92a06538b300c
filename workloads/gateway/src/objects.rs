//! The bytes of documents in the object store.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use lotoai_kit::s3::PATIENCE;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::error::chain;
use crate::failure::Failure;
use crate::outbox::Wake;
use crate::store::{Store, StoreError};

/// No request to the object store may take longer. One that did is made again on another connection:
/// the server may be lost.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// No step of an upload to the object store, or of a download, may take longer: it is waited for while
/// it restarts, and the last request takes its time.
const STEP_TIMEOUT: Duration = PATIENCE.saturating_add(REQUEST_TIMEOUT);
/// No step may take longer once answers must end at a stop: enough for what came of an upload to be
/// stored, and less than the 5 s that are left, so that who waits is answered.
const PARTING: Duration = Duration::from_secs(2);
/// No deletion may take longer: it comes again, and rows are locked meanwhile.
const DELETION_TIMEOUT: Duration = Duration::from_secs(15);
/// Discarded objects are looked for this often when nobody says that there are any.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_BATCH: i64 = 50;
/// After so many failures of one batch the object store is taken to be away: each may take
/// [`DELETION_TIMEOUT`], and what is locked meanwhile waits for it.
pub(crate) const MAX_FAILURES: usize = 3;

/// The object store, and a task tracker for what must outlive a request.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

/// An object that is being written. Dropped without [`Upload::finish`], it is taken back, also
/// when the client went away in the middle.
pub struct Upload {
    writer: Option<BufWriter>,
    key: String,
    objects: Objects,
    written: bool,
    /// While the object is being completed.
    completing: Option<JoinHandle<Result<(), Failure>>>,
    kept: bool,
}

impl Objects {
    /// The objects in `store`. Who waits for it is let go by `ending`.
    pub fn new(store: Arc<dyn ObjectStore>, tasks: TaskTracker, ending: CancellationToken) -> Self {
        Self {
            store,
            tasks,
            ending,
        }
    }

    /// Begins to write a new object.
    pub fn begin(&self) -> Upload {
        let key = format!("documents/{}", Uuid::now_v7());
        let writer = BufWriter::new(Arc::clone(&self.store), Path::from(key.as_str()));
        Upload {
            writer: Some(writer),
            key,
            objects: self.clone(),
            written: false,
            completing: None,
            kept: false,
        }
    }

    /// How many objects there are.
    #[cfg(test)]
    pub(crate) async fn count(&self) -> usize {
        use futures::StreamExt as _;
        self.store.list(None).count().await
    }

    /// Stores a part of an upload under a key of its own, which it gives.
    ///
    /// # Errors
    /// 503 when the object store is away, or the process stops; whether the object is there is not
    /// known then.
    pub async fn put_part(&self, upload: Uuid, bytes: Bytes) -> Result<String, Failure> {
        let key = format!("{}/{}", parts_of(upload), Uuid::now_v7());
        let path = Path::from(key.as_str());
        self.bounded(async { self.store.put(&path, bytes.into()).await.map(drop) })
            .await?;
        Ok(key)
    }

    /// Reads an object that is known to be small.
    ///
    /// # Errors
    /// 503 when the object store is away, or the process stops.
    pub async fn read(&self, key: &str) -> Result<Bytes, Failure> {
        let path = Path::from(key);
        self.bounded(async { self.store.get(&path).await?.bytes().await })
            .await
    }

    /// Reads a part of an object; `None` when there is no such object.
    ///
    /// # Errors
    /// 503 when the object store is away, or the process stops.
    pub async fn read_part(&self, key: &str, part: Range<u64>) -> Result<Option<Bytes>, Failure> {
        let path = Path::from(key);
        self.bounded(async {
            match self.store.get_range(&path, part).await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Deletes all parts of an upload, also those that no row ever knew of.
    ///
    /// # Errors
    /// When the object store is away; some may be gone then.
    pub async fn delete_parts(&self, upload: Uuid) -> Result<(), object_store::Error> {
        let prefix = Path::from(parts_of(upload));
        let mut parts = self.store.list(Some(&prefix));
        while let Some(part) = in_time(DELETION_TIMEOUT, parts.try_next()).await? {
            self.delete(part.location.as_ref()).await?;
        }
        Ok(())
    }

    async fn bounded<T>(
        &self,
        step: impl Future<Output = Result<T, object_store::Error>>,
    ) -> Result<T, Failure> {
        let outcome = tokio::select! {
            biased;
            outcome = in_time(STEP_TIMEOUT, step) => outcome,
            () = self.ended() => return Err(Failure::shutting_down()),
        };
        outcome.map_err(|error| {
            tracing::error!(error = chain(&error), "the object store failed a request");
            Failure::unavailable(
                "object_storage_unavailable",
                "the object store cannot be reached or has failed; try again soon",
            )
        })
    }

    /// Waits until the process stops so soon that nobody can be waited for.
    async fn ended(&self) {
        self.ending.cancelled().await;
        tokio::time::sleep(PARTING).await;
    }

    async fn delete(&self, key: &str) -> Result<(), object_store::Error> {
        match in_time(DELETION_TIMEOUT, self.store.delete(&Path::from(key))).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            outcome => outcome,
        }
    }
}

/// What the keys of an upload's parts begin with.
fn parts_of(upload: Uuid) -> String {
    format!("uploads/{upload}")
}

async fn in_time<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, object_store::Error>>,
) -> Result<T, object_store::Error> {
    match tokio::time::timeout(limit, step).await {
        Ok(outcome) => outcome,
        Err(_) => Err(object_store::Error::Generic {
            store: "documents",
            source: "it took too long".into(),
        }),
    }
}

impl Upload {
    /// Key of the object.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Writes more bytes.
    ///
    /// # Errors
    /// 503 when the object store is away, or the process stops.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        let Some(writer) = self.writer.as_mut() else {
            return Err(Failure::internal());
        };
        self.objects.bounded(writer.put(bytes)).await
    }

    /// Completes the object. It is still taken back unless [`Upload::keep`] follows.
    ///
    /// # Errors
    /// 503 when the object store is away, or the process stops.
    pub async fn finish(&mut self) -> Result<(), Failure> {
        let Some(mut writer) = self.writer.take() else {
            return Err(Failure::internal());
        };
        // From here on the object may exist, even if the answer that says so is lost. A writer
        // that was shut down must not be aborted; it cleans up its own parts.
        self.written = true;
        let objects = self.objects.clone();
        // In a task of its own: a client that leaves now would break it off, and the parts that are there
        // would stay, which belong to no object and which nothing deletes.
        let completing = self.objects.tasks.spawn(async move {
            let completed = async {
                writer
                    .shutdown()
                    .await
                    .map_err(|error| object_store::Error::Generic {
                        store: "documents",
                        source: Box::new(error),
                    })
            };
            objects.bounded(completed).await
        });
        let completed = self.completing.insert(completing).await;
        self.completing = None;
        completed.unwrap_or_else(|_| Err(Failure::internal()))
    }

    /// A row points to the object now.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (writer, written) = (self.writer.take(), self.written);
        if self.kept || (writer.is_none() && !written) {
            return;
        }
        let (objects, key) = (self.objects.clone(), std::mem::take(&mut self.key));
        let completing = self.completing.take();
        self.objects.tasks.spawn(async move {
            if let Some(completing) = completing {
                // What is not there yet cannot be deleted.
                drop(completing.await);
            }
            let outcome = match writer {
                Some(mut writer) => writer.abort().await,
                None => objects.delete(&key).await,
            };
            if let Err(error) = outcome {
                tracing::warn!(key, error = chain(&error), "an upload was not taken back");
            }
        });
    }
}

/// Deletes discarded objects until `stop`.
pub async fn sweep(store: Store, objects: Objects, wake: Wake, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = sweep_batch(&store, &objects).await {
            tracing::warn!(error = chain(&error), "discarded objects cannot be read");
        }
        tokio::select! {
            () = wake.wait() => {}
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Deletes some discarded objects. One that cannot be deleted is put off, so that it does not keep the
/// others.
pub(crate) async fn sweep_batch(store: &Store, objects: &Objects) -> Result<(), StoreError> {
    let mut change = store.begin().await?;
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for key in change.lock_discarded(SWEEP_BATCH).await? {
        match objects.delete(&key).await {
            Ok(()) => gone.push(key),
            Err(error) => {
                tracing::warn!(error = chain(&error), "an object was not deleted yet");
                kept.push(key);
            }
        }
        if kept.len() == MAX_FAILURES {
            break;
        }
    }
    change.forget_discarded(&gone).await?;
    change.put_off_discarded(&kept).await?;
    change.commit().await
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use object_store::throttle::{ThrottleConfig, ThrottledStore};

    use super::*;

    /// Those of a server at this address.
    fn objects_at(endpoint: &str, ending: CancellationToken) -> Objects {
        let store = object_store::aws::AmazonS3Builder::new()
            .with_endpoint(endpoint)
            .with_bucket_name("documents")
            .with_access_key_id("k")
            .with_secret_access_key("s")
            .with_allow_http(true)
            .with_retry(object_store::RetryConfig {
                max_retries: 0,
                ..Default::default()
            })
            .build()
            .unwrap();
        Objects::new(Arc::new(store), TaskTracker::new(), ending)
    }

    #[tokio::test]
    async fn who_waits_for_it_at_a_stop_is_told_so() {
        // It takes connections and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let ending = CancellationToken::new();
        let objects = objects_at(&endpoint, ending.clone());
        let putting = objects.put_part(Uuid::nil(), Bytes::from_static(b"text"));
        tokio::pin!(putting);
        let _connection = tokio::select! {
            outcome = &mut putting => panic!("{outcome:?}"),
            connection = silent.accept() => connection.unwrap(),
        };
        ending.cancel();
        let told = tokio::time::timeout(PARTING * 5, putting).await;
        let failure = told.expect("it is told").unwrap_err();
        assert_eq!(
            (failure.status.as_u16(), &*failure.code),
            (503, "shutting_down")
        );
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_a_503_and_the_object_is_taken_back() {
        let objects = objects_at("http://127.0.0.1:1", CancellationToken::new());
        // Nobody is told that it is gone.
        let failure = objects.read_part("k", 0..1).await.unwrap_err();
        assert_eq!(failure.code, "object_storage_unavailable");
        let mut upload = objects.begin();
        upload.write(Bytes::from_static(b"text")).await.unwrap();
        let failure = upload.finish().await.unwrap_err();
        assert_eq!(failure.code, "object_storage_unavailable");
        assert!(
            upload.writer.is_none(),
            "a writer that was shut down panics when it is aborted"
        );
        drop(upload);
        objects.tasks.close();
        assert_eq!(
            objects.tasks.len(),
            1,
            "the object is deleted, in case it exists after all"
        );
        objects.tasks.wait().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_completed_though_its_client_leaves_and_is_taken_back_then() {
        const CALL: Duration = Duration::from_secs(1);
        let slow = ThrottleConfig {
            wait_put_per_call: CALL,
            wait_delete_per_call: CALL,
            ..ThrottleConfig::default()
        };
        let store = ThrottledStore::new(object_store::memory::InMemory::new(), slow);
        let objects = Objects::new(
            Arc::new(store),
            TaskTracker::new(),
            CancellationToken::new(),
        );
        let mut upload = objects.begin();
        upload.write(Bytes::from_static(b"text")).await.unwrap();
        assert!(upload.finish().now_or_never().is_none());
        drop(upload);
        tokio::time::sleep(CALL + CALL / 2).await;
        assert_eq!(objects.count().await, 1, "it is being deleted");
        objects.tasks.close();
        objects.tasks.wait().await;
        assert_eq!(objects.count().await, 0);
    }

    #[tokio::test]
    async fn only_what_is_kept_stays() {
        let store = Arc::new(object_store::memory::InMemory::new());
        let objects = Objects::new(store, TaskTracker::new(), CancellationToken::new());
        for (finish, keep) in [(false, false), (true, false), (true, true)] {
            let mut upload = objects.begin();
            upload.write(Bytes::from_static(b"text")).await.unwrap();
            if finish {
                upload.finish().await.unwrap();
            }
            if keep {
                upload.keep();
            }
        }
        objects.tasks.close();
        objects.tasks.wait().await;
        assert_eq!(objects.count().await, 1);
    }
}
