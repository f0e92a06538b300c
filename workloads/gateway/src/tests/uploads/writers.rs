//! One writer at a time.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use tower::ServiceExt as _;

use super::{PATIENCE, Resumable, at, until};
use crate::admission::Times;
use crate::store::{Leased, Piece, UploadPart};
use crate::tests::support::{Gateway, Parts};

type Sending = UnboundedSender<Result<Bytes, io::Error>>;

/// A body that comes as the test says.
fn trickle() -> (Sending, Body) {
    let (sending, body) = unbounded();
    (sending, Body::from_stream(body))
}

/// Whether somebody writes.
async fn is_leased(pool: &sqlx::PgPool) -> bool {
    sqlx::query_scalar("select lease_until > now() from uploads where lease is not null")
        .fetch_optional(pool)
        .await
        .unwrap()
        .unwrap_or(false)
}

#[tokio::test]
async fn a_second_writer_is_refused_while_the_first_one_writes() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 8).await;
    let (sending, body) = trickle();
    sending.unbounded_send(Ok("half".into())).unwrap();
    let writing = gateway.router.clone().oneshot(upload.piece(0, body));
    let writing = tokio::spawn(writing);
    until("the first one writes", || is_leased(&pool)).await;
    let replica = gateway.replica(&server).await;
    for second in [&upload, &upload.at(&replica, "ana")] {
        let reply = second.add(0, "evil").await;
        assert_eq!(
            (reply.status.as_u16(), &*reply.code()),
            (423, "upload_in_use")
        );
        // Who only asks is told what is safe.
        assert_eq!(at(&second.look().await), (200, "0"));
    }
    sending.unbounded_send(Ok("full".into())).unwrap();
    drop(sending);
    let reply = writing.await.unwrap().unwrap();
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
    // The control: the lease is given back, and the first one's bytes are there.
    assert!(!is_leased(&pool).await);
    let done = upload.look().await;
    assert_eq!(at(&done), (200, "8"));
    assert_eq!(upload.document(&done).await["name"], "a.txt");
}

#[tokio::test]
async fn what_came_of_a_client_that_left_is_kept() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 8).await;
    let (sending, body) = trickle();
    sending.unbounded_send(Ok("half".into())).unwrap();
    let writing = gateway.router.clone().oneshot(upload.piece(0, body));
    let writing = tokio::spawn(writing);
    until("it writes", || is_leased(&pool)).await;
    until("it has read", || async { sending.is_empty() }).await;
    // The server gives the request up, and then the connection is gone.
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    drop(sending);
    until("it is stored", || async {
        at(&upload.look().await) == (200, "4")
    })
    .await;
    gateway.settle().await;
    assert_eq!(at(&upload.add(4, "rest").await), (204, "8"));
}

#[tokio::test]
async fn a_body_that_stands_still_is_kept_and_its_place_is_free() {
    let parts = Parts {
        times: Times {
            pause: Duration::from_millis(50),
            ..Times::default()
        },
        ..Parts::default()
    };
    let Some((server, gateway)) = Gateway::stored(parts).await else {
        return;
    };
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 8).await;
    let (sending, body) = trickle();
    sending.unbounded_send(Ok("half".into())).unwrap();
    let reply = tokio::time::timeout(PATIENCE, upload.add(0, body)).await;
    assert_eq!(at(&reply.expect("it ends before its body")), (204, "4"));
    drop(sending);
    assert!(!is_leased(&server.pool()).await);
    assert_eq!(at(&upload.add(4, "rest").await), (204, "8"), "the control");
}

#[tokio::test]
async fn one_person_does_not_take_all_places() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let (pool, replica) = (server.pool(), gateway.replica(&server).await);
    let mut last = Resumable::of(&gateway, "ana").begin("0.txt", 8).await;
    for name in [
        "1.txt", "2.txt", "3.txt", "4.txt", "5.txt", "6.txt", "7.txt",
    ] {
        last = Resumable::of(&gateway, "ana").begin(name, 8).await;
    }
    assert_eq!(at(&last.add(0, "one").await), (204, "3"), "the control");
    sqlx::query(
        "update uploads set lease = gen_random_uuid(), lease_until = now() + interval '1 hour'",
    )
    .execute(&pool)
    .await
    .unwrap();
    let ninth = Resumable::of(&gateway, "ana").begin("9.txt", 8).await;
    for there in [&gateway, &replica] {
        let reply = ninth.at(there, "ana").add(0, "more").await;
        assert_eq!((reply.status.as_u16(), &*reply.code()), (429, "overloaded"));
        assert_eq!(reply.header("retry-after"), "1");
    }
    // Who already writes to one is told so, and others write.
    assert_eq!(last.add(3, "more").await.code(), "upload_in_use");
    let bobs = Resumable::of(&gateway, "bob").begin("b.txt", 4).await;
    assert_eq!(at(&bobs.add(0, "text").await), (204, "4"));
    sqlx::query("update uploads set lease_until = now() where id = $1")
        .bind(last.id())
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(at(&ninth.add(0, "text").await), (204, "4"));
}

/// A writer that was held up for so long that another one took its place.
#[tokio::test]
async fn a_writer_whose_place_was_taken_changes_nothing() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let store = &gateway.state.store;
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 4).await;
    let (id, late) = (upload.id(), uuid::Uuid::now_v7());
    assert_eq!(store.lease_upload(id, late, 0).await.unwrap(), Leased::Yes);
    assert!(store.renew_upload(id, late).await.unwrap(), "the control");
    sqlx::query("update uploads set lease_until = now()")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(at(&upload.add(0, "te").await), (204, "2"));
    let part = UploadPart {
        number: 0,
        object_key: "uploads/late".to_owned(),
        size: 2,
    };
    let piece = |received| Piece {
        id,
        lease: late,
        received,
        added: 2,
        part: &part,
        replaced: None,
    };
    for received in [0, 2] {
        let extended = store.extend_upload(&piece(received)).await.unwrap();
        assert_eq!(extended, None);
    }
    assert!(!store.renew_upload(id, late).await.unwrap());
    assert!(!store.assemble_upload(id, late, "x").await.unwrap());
    let mut change = store.begin().await.unwrap();
    assert!(!change.close_upload(id, late, id).await.unwrap());
    drop(change);
    store.release_upload(id, late).await.unwrap();
    assert_eq!(at(&upload.look().await), (200, "2"));
    assert_eq!(at(&upload.add(2, "xt").await), (204, "4"));
}
