//! Uploads that go on: after a cut, on another replica, after a death.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use futures::{StreamExt as _, stream};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use serde_json::json;

use super::{Resumable, at, sweep_parts};
use crate::admission::Times;
use crate::store::{Leased, Piece, UploadPart};
use crate::tests::documents::upload as upload_at_once;
use crate::tests::keys::{Signer, realm};
use crate::tests::postgres;
use crate::tests::support::{Gateway, Parts, config};
use crate::uploads::PART_BYTES;

/// A body that breaks off after these bytes.
fn cut(text: &'static str) -> Body {
    let broken = io::Error::from(io::ErrorKind::ConnectionReset);
    Body::from_stream(stream::iter([Ok(text), Err(broken)]))
}

#[tokio::test]
async fn a_cut_upload_goes_on_where_it_was_cut_on_another_replica() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let upload = Resumable::of(&gateway, "ana").begin("plan.md", 12).await;
    upload.add(0, cut("# Pl")).await;
    let there = upload.at(&replica, "ana");
    assert_eq!(at(&there.look().await), (200, "4"));
    there.add(4, cut("an: a")).await;
    let here = upload.look().await;
    assert_eq!(at(&here), (200, "9"));
    assert_eq!(here.header("x-lotoai-document-id"), "");
    assert_eq!(at(&upload.add(9, "\u{f1}o").await), (204, "12"));

    // It is a document as any other: the same again in one request changes nothing.
    let done = there.look().await;
    assert_eq!(at(&done), (200, "12"));
    let document = there.document(&done).await;
    assert_eq!(document["name"], "plan.md");
    assert_eq!(
        (&document["status"], &document["size"]),
        (&json!("uploaded"), &json!(12))
    );
    let again = upload_at_once(&gateway, "ana", "plan.md", "# Plan: a\u{f1}o").await;
    assert_eq!(
        (again.status, &again.json()["id"]),
        (StatusCode::OK, &document["id"])
    );
    assert_eq!(gateway.state.store.outbox_backlog().await.unwrap(), 1);

    // Of the bytes there is one copy.
    gateway.settle().await;
    replica.settle().await;
    let (store, objects) = (&gateway.state.store, &gateway.state.objects);
    crate::objects::sweep_batch(store, objects).await.unwrap();
    sweep_parts(&gateway, &server.pool()).await;
    assert_eq!(objects.count().await, 1);
}

#[tokio::test]
async fn a_document_is_made_once_whoever_asks() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 4).await;
    let first = upload.add(0, "text").await;
    assert_eq!(at(&first), (204, "4"));
    let replica = gateway.replica(&server).await;
    let there = upload.at(&replica, "ana");
    let id = first.header("x-lotoai-document-id");
    for reply in [
        upload.look().await,
        there.add(4, "").await,
        upload.look().await,
    ] {
        assert_eq!(reply.header("x-lotoai-document-id"), id, "{reply:?}");
    }
    assert_eq!(gateway.state.store.outbox_backlog().await.unwrap(), 1);
}

/// Puts an upload where a process leaves it that is killed after the last byte was stored.
async fn leave_whole(gateway: &Gateway, upload: &Resumable<'_>, text: &'static str) {
    let state = &gateway.state;
    let (id, lease) = (upload.id(), uuid::Uuid::now_v7());
    let leased = state.store.lease_upload(id, lease, 0).await.unwrap();
    assert_eq!(leased, Leased::Yes);
    let size = text.len();
    let part = UploadPart {
        number: 0,
        object_key: state.objects.put_part(id, text.into()).await.unwrap(),
        size: i32::try_from(size).unwrap(),
    };
    let piece = Piece {
        id,
        lease,
        received: 0,
        added: i64::try_from(size).unwrap(),
        part: &part,
        replaced: None,
    };
    assert!(state.store.extend_upload(&piece).await.unwrap().is_some());
    // It had begun to put the whole together.
    let whole = state.store.assemble_upload(id, lease, "documents/half");
    assert!(whole.await.unwrap());
}

#[rstest::rstest]
#[case::by_asking(true)]
#[case::by_sending_nothing(false)]
#[tokio::test]
async fn who_was_killed_after_the_last_byte_is_made_up_for(#[case] by_asking: bool) {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 4).await;
    leave_whole(&gateway, &upload, "text").await;
    let go_on = async || {
        if by_asking {
            upload.look().await
        } else {
            upload.add(4, "").await
        }
    };
    // Until the lease has run out the dead are taken to live.
    let early = go_on().await;
    assert_eq!(early.status, StatusCode::LOCKED);
    assert_eq!(early.header("retry-after"), "1");
    sqlx::query("update uploads set lease_until = now()")
        .execute(&pool)
        .await
        .unwrap();
    let done = go_on().await;
    assert!(done.status.is_success(), "{done:?}");
    assert_eq!(upload.document(&done).await["size"], 4);
    assert_eq!(gateway.state.store.outbox_backlog().await.unwrap(), 1);
    let left: Vec<String> = sqlx::query_scalar("select object_key from discarded_objects")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(left, ["documents/half"]);
}

/// An object store that nobody answers at.
fn away() -> Arc<dyn ObjectStore> {
    let retry = object_store::RetryConfig {
        max_retries: 0,
        ..Default::default()
    };
    let store = AmazonS3Builder::new()
        .with_endpoint("http://127.0.0.1:1")
        .with_bucket_name("documents")
        .with_access_key_id("k")
        .with_secret_access_key("s")
        .with_allow_http(true)
        .with_retry(retry)
        .build()
        .unwrap();
    Arc::new(store)
}

/// A body that stands still is no excuse for what became of its bytes.
#[tokio::test]
async fn a_piece_that_is_too_late_is_told_what_became_of_it() {
    let times = Times {
        part: Duration::from_millis(50),
        ..Times::default()
    };
    let parts = || Parts {
        times,
        ..Parts::default()
    };
    let half =
        || Body::from_stream(stream::iter([Ok::<_, io::Error>("half")]).chain(stream::pending()));
    let Some((_server, gateway)) = Gateway::stored(parts()).await else {
        return;
    };
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 8).await;
    assert_eq!(at(&upload.add(0, half()).await), (204, "4"), "the control");
    let objects = away();
    let parts = Parts { objects, ..parts() };
    let Some((_server, gateway)) = Gateway::stored(parts).await else {
        return;
    };
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 8).await;
    let reply = upload.add(0, half()).await;
    assert_eq!(reply.code(), "object_storage_unavailable", "{reply:?}");
    assert_eq!(at(&upload.look().await), (200, "0"));
}

#[tokio::test]
async fn what_the_object_store_did_not_take_is_not_acknowledged() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let replica = gateway.replica_with(&server, away()).await;
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 8).await;
    assert_eq!(at(&upload.add(0, "half").await), (204, "4"));
    let there = upload.at(&replica, "ana");
    assert_eq!(
        there.add(4, "rest").await.code(),
        "object_storage_unavailable"
    );
    assert_eq!(at(&there.look().await), (200, "4"));
    assert_eq!(at(&upload.add(4, "rest").await), (204, "8"), "the control");
}

#[tokio::test]
async fn parts_are_whole_however_small_the_pieces_are() {
    let Some(server) = postgres::start() else {
        return;
    };
    let signer = Signer::ec("key-1");
    let realm = realm(&[&signer]).await;
    let parts = Parts {
        pool: server.pool(),
        ..Parts::default()
    };
    let mut config = config(&realm.uri(), &parts.orchestrator);
    config.limits.upload_max_bytes = 4 * PART_BYTES as u64;
    let gateway = Gateway::with_config(&config, parts, realm, signer);
    let text: String = ('a'..='z').cycle().take(2 * PART_BYTES + 10).collect();
    let upload = Resumable::of(&gateway, "ana")
        .begin("a.txt", text.len())
        .await;
    let sizes = async || -> Vec<i32> {
        sqlx::query_scalar("select size from upload_parts order by number")
            .fetch_all(&server.pool())
            .await
            .unwrap()
    };
    let whole = i32::try_from(PART_BYTES).unwrap();
    let mut from = 0;
    for (length, expected) in [
        (1, vec![1]),
        (2, vec![3]),
        (PART_BYTES, vec![whole, 3]),
        (PART_BYTES - 3, vec![whole, whole]),
        (6, vec![whole, whole, 6]),
    ] {
        let piece = text[from..from + length].to_owned();
        assert_eq!(upload.add(from, piece).await.status, StatusCode::NO_CONTENT);
        from += length;
        assert_eq!(sizes().await, expected, "after {from}");
    }
    // What a longer part replaced is discarded at once.
    let (store, objects) = (&gateway.state.store, &gateway.state.objects);
    crate::objects::sweep_batch(store, objects).await.unwrap();
    assert_eq!(objects.count().await, 3);
    let done = upload.add(from, text[from..].to_owned()).await;
    assert_eq!(upload.document(&done).await["size"], text.len());
    // The same bytes in the same order, as the hash of the one-request upload says.
    let again = upload_at_once(&gateway, "ana", "a.txt", &text).await;
    assert_eq!(again.status, StatusCode::OK, "{again:?}");
}
