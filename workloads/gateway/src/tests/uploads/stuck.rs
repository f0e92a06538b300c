//! Objects that cannot be deleted, among others that can.

use std::fmt;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::{Resumable, sweep_parts};
use crate::tests::support::{Gateway, Parts};

/// An object store that does not delete what has this in its key.
#[derive(Debug, Clone, Default)]
struct Stuck {
    kept: Arc<Mutex<Option<String>>>,
    store: Arc<InMemory>,
}

impl Stuck {
    fn keep(&self, kept: Option<String>) {
        *self.kept.lock().unwrap() = kept;
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("stuck")
    }
}

#[tonic::async_trait]
impl ObjectStore for Stuck {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let kept = Arc::clone(&self.kept);
        let locations = locations.map(move |location| {
            let location = location?;
            let kept = kept.lock().unwrap();
            if kept
                .as_ref()
                .is_some_and(|kept| location.as_ref().contains(kept))
            {
                return Err(Error::Generic {
                    store: "stuck",
                    source: "it is kept".into(),
                });
            }
            Ok(location)
        });
        self.store.delete_stream(locations.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn parts_that_cannot_be_deleted_do_not_keep_others() {
    let stuck = Stuck::default();
    let parts = Parts {
        objects: Arc::new(stuck.clone()),
        ..Parts::default()
    };
    let Some((server, gateway)) = Gateway::stored(parts).await else {
        return;
    };
    let pool = server.pool();
    let (store, objects) = (&gateway.state.store, &gateway.state.objects);
    let first = Resumable::of(&gateway, "ana").begin("a.txt", 8).await;
    let second = Resumable::of(&gateway, "ana").begin("b.txt", 8).await;
    for upload in [&first, &second] {
        upload.add(0, "half").await;
        upload.end().await;
    }
    assert_eq!(objects.count().await, 2);
    stuck.keep(Some(first.id().to_string()));
    sqlx::query(
        "update discarded_uploads
         set discarded_at = now() - case when upload_id = $1 then interval '3 minutes'
                                         else interval '2 minutes' end",
    )
    .bind(first.id())
    .execute(&pool)
    .await
    .unwrap();
    assert_eq!(
        crate::uploads::sweep_batch(store, objects).await.unwrap(),
        2
    );
    assert_eq!(objects.count().await, 1, "of the first");
    let again = crate::uploads::sweep_batch(store, objects).await.unwrap();
    assert_eq!(again, 0, "it is not tried again at once");
    stuck.keep(None);
    sweep_parts(&gateway, &pool).await;
    assert_eq!(objects.count().await, 0, "the control");
}

#[tokio::test]
async fn an_object_that_cannot_be_deleted_does_not_keep_others() {
    let stuck = Stuck::default();
    let parts = Parts {
        objects: Arc::new(stuck.clone()),
        ..Parts::default()
    };
    let Some((_server, gateway)) = Gateway::stored(parts).await else {
        return;
    };
    let (store, objects) = (&gateway.state.store, &gateway.state.objects);
    let mut keys = Vec::new();
    for text in ["first", "second"] {
        let key = objects.put_part(uuid::Uuid::now_v7(), text.into()).await;
        let key = key.unwrap();
        let mut change = store.begin().await.unwrap();
        change.discard_object(&key).await.unwrap();
        change.commit().await.unwrap();
        keys.push(key);
    }
    stuck.keep(Some(keys[0].clone()));
    crate::objects::sweep_batch(store, objects).await.unwrap();
    assert_eq!(objects.count().await, 1, "the first");
    stuck.keep(None);
    crate::objects::sweep_batch(store, objects).await.unwrap();
    assert_eq!(objects.count().await, 0, "the control");
}
