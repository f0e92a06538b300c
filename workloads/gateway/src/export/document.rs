//! The file that a document was uploaded as.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;

use super::pipe::HELD;
use super::{File, Pipe, Stop};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::objects::Objects;
use crate::state::AppState;
use crate::store::Document;

/// Read from the object store at a time, in bytes: no connection to it waits for a slow reader.
const PART: u64 = 256 * 1024;

/// Answers the caller with the file of the document that `row` reads, once the beginning of it is read.
///
/// # Errors
/// Those of `row`, 429 when there is no room for what is in memory of it, 500 when its bytes are lost,
/// 503 when the object store is away.
pub async fn download<F>(
    state: &Arc<AppState>,
    identity: &Identity,
    row: impl Fn() -> F + Send,
) -> Result<Response, Failure>
where
    F: Future<Output = Result<Document, Failure>> + Send,
{
    let mut document = row().await?;
    loop {
        if let Some(response) = file_of(state, identity, &document).await? {
            return Ok(response);
        }
        // It may have been deleted, or uploaded again, since its row was read.
        let newer = row().await?;
        if newer.object_key == document.object_key {
            tracing::error!(document_id = %newer.id, "the bytes of a document are lost");
            return Err(Failure::internal());
        }
        document = newer;
    }
}

/// `None` when the bytes are not there.
async fn file_of(
    state: &Arc<AppState>,
    identity: &Identity,
    document: &Document,
) -> Result<Option<Response>, Failure> {
    let size = u64::try_from(document.size).unwrap_or_default();
    let (objects, key) = (state.objects.clone(), document.object_key.clone());
    // Held by whoever writes it and by whoever reads it: either may be the last that has some of it.
    let room = Arc::new(state.admission.room(size.min(PART + HELD))?);
    let Some(first) = objects.read_part(&key, 0..size.min(PART)).await? else {
        return Ok(None);
    };
    let file = File {
        media_type: &document.media_type,
        name: &document.name,
    };
    let writers = Arc::clone(&room);
    let writes = move |pipe| async move {
        let _room = writers;
        write(pipe, objects, key, size, first).await
    };
    let response = super::download(state, identity, file, writes)?;
    let mut response = response.map(|body| {
        let pieces = body.into_data_stream();
        Body::from_stream(pieces.inspect(move |_| {
            let _room = &room;
        }))
    });
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    Ok(Some(response))
}

/// Writes the object `key` of `size` bytes, whose beginning is `part`.
///
/// # Errors
/// When the rest cannot be read, or nobody reads it.
async fn write(
    mut pipe: Pipe,
    objects: Objects,
    key: String,
    size: u64,
    mut part: Bytes,
) -> Result<(), Stop> {
    let mut at = 0;
    loop {
        at += part.len() as u64;
        // The object is shorter than its row says.
        if part.is_empty() && at < size {
            return Err(Failure::internal().into());
        }
        pipe.bytes(&part).await?;
        // There are never two in memory.
        drop(part);
        if at >= size {
            return pipe.end().await;
        }
        let next = objects.read_part(&key, at..size.min(at + PART)).await?;
        // Without it the document was deleted or uploaded again meanwhile.
        part = next.ok_or_else(Failure::internal)?;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::body::to_bytes;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt as _};
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::super::pipe;
    use super::*;

    fn bytes(length: u64) -> Bytes {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    async fn written(store: &Arc<InMemory>, size: u64) -> Result<Bytes, axum::Error> {
        let objects = Objects::new(
            Arc::clone(store) as Arc<dyn ObjectStore>,
            TaskTracker::new(),
            CancellationToken::new(),
        );
        let first = objects.read_part("k", 0..size.min(PART)).await;
        let first = first.unwrap().unwrap();
        let (pipe, body) = pipe::open(CancellationToken::new(), pending());
        tokio::spawn(write(pipe, objects, "k".to_owned(), size, first));
        to_bytes(body, usize::MAX).await
    }

    #[rstest::rstest]
    #[case(1)]
    #[case(PART - 1)]
    #[case(PART)]
    #[case(PART + 1)]
    #[case(3 * PART)]
    #[tokio::test]
    async fn it_is_whole_whatever_its_size(#[case] size: u64) {
        let store = Arc::new(InMemory::new());
        let put = store.put(&Path::from("k"), bytes(size).into()).await;
        put.unwrap();
        let got = written(&store, size).await.unwrap();
        assert!(got == bytes(size), "{} of {size} bytes", got.len());
    }

    #[tokio::test]
    async fn what_cannot_be_read_to_its_end_is_no_whole() {
        let store = Arc::new(InMemory::new());
        let put = store.put(&Path::from("k"), bytes(PART).into()).await;
        put.unwrap();
        assert!(written(&store, 2 * PART).await.is_err());
    }
}
