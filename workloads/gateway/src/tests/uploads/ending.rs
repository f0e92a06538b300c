//! Uploads that come to nothing.

use axum::http::{Method, StatusCode};

use super::{Resumable, at, sweep_parts};
use crate::tests::support::{Gateway, Parts};
use crate::uploads::expire_all;

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_expires() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let store = &gateway.state.store;
    let late = Resumable::of(&gateway, "ana").begin("late.txt", 8).await;
    let other = Resumable::of(&gateway, "ana").begin("other.txt", 8).await;
    for upload in [&late, &other] {
        assert_eq!(at(&upload.add(0, "half").await), (204, "4"));
    }
    sqlx::query("update uploads set expires_at = now() - interval '1 second' where id = $1")
        .bind(late.id())
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(late.look().await.status, StatusCode::GONE);
    assert_eq!(late.add(4, "rest").await.code(), "upload_expired");
    assert_eq!(late.end().await.code(), "upload_expired");
    assert_eq!(expire_all(store).await.unwrap(), 1);
    assert_eq!(expire_all(store).await.unwrap(), 0);
    assert_eq!(late.look().await.status, StatusCode::NOT_FOUND);
    // Its bytes go when no writer can be left that would add to them.
    let objects = &gateway.state.objects;
    crate::uploads::sweep_batch(store, objects).await.unwrap();
    assert_eq!(objects.count().await, 2);
    sweep_parts(&gateway, &pool).await;
    assert_eq!(objects.count().await, 1);
    assert_eq!(at(&other.add(4, "rest").await), (204, "8"), "the control");
}

#[tokio::test]
async fn every_piece_puts_the_end_off() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 8).await;
    sqlx::query("update uploads set expires_at = now() + interval '1 minute'")
        .execute(&pool)
        .await
        .unwrap();
    let before = upload.look().await.header("upload-expires").to_owned();
    let reply = upload.add(0, "half").await;
    assert_ne!(reply.header("upload-expires"), before);
    let hours: i64 = sqlx::query_scalar(
        "select round(extract(epoch from expires_at - now()) / 3600)::bigint from uploads",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(hours, 24);
}

#[tokio::test]
async fn an_ended_upload_is_gone_and_its_document_stays() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let half = Resumable::of(&gateway, "ana").begin("half.txt", 8).await;
    half.add(0, "half").await;
    let whole = Resumable::of(&gateway, "ana").begin("whole.txt", 4).await;
    let done = whole.add(0, "text").await;
    for upload in [&half, &whole] {
        assert_eq!(upload.end().await.status, StatusCode::NO_CONTENT);
        assert_eq!(upload.look().await.status, StatusCode::NOT_FOUND);
        assert_eq!(upload.add(4, "").await.code(), "upload_not_found");
        assert_eq!(upload.end().await.code(), "upload_not_found");
    }
    crate::objects::sweep_batch(&gateway.state.store, &gateway.state.objects)
        .await
        .unwrap();
    sweep_parts(&gateway, &pool).await;
    assert_eq!(gateway.state.objects.count().await, 1);
    assert_eq!(whole.document(&done).await["name"], "whole.txt");
}

#[tokio::test]
async fn a_file_that_is_no_text_is_refused_at_its_end_and_leaves_nothing() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let cases: [(&[u8], &[u8]); 3] = [(b"%PDF", b"\x00"), (b"a", b"\xc3"), (b"\xf1", b"o")];
    for (first, last) in cases {
        let size = first.len() + last.len();
        let upload = Resumable::of(&gateway, "ana").begin("a.txt", size).await;
        upload.add(0, first.to_vec()).await;
        let reply = upload.add(first.len(), last.to_vec()).await;
        assert_eq!(reply.code(), "unsupported_media_type", "{last:?}");
        assert_eq!(upload.look().await.status, StatusCode::NOT_FOUND);
    }
    // The control: a character that two pieces share is one.
    let upload = Resumable::of(&gateway, "ana").begin("n.txt", 2).await;
    upload.add(0, b"\xc3".to_vec()).await;
    let whole = upload.add(1, b"\xb1".to_vec()).await;
    assert_eq!(upload.document(&whole).await["size"], 2);
    gateway.settle().await;
    crate::objects::sweep_batch(&gateway.state.store, &gateway.state.objects)
        .await
        .unwrap();
    sweep_parts(&gateway, &server.pool()).await;
    assert_eq!(gateway.state.objects.count().await, 1);
    assert_eq!(gateway.state.store.outbox_backlog().await.unwrap(), 1);
}

#[tokio::test]
async fn who_has_left_the_group_adds_nothing_to_its_knowledge_base() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let metadata = "filename YS50eHQ=,knowledge_base aHI=";
    let member = Resumable::of(&gateway, "ana").within(&["hr"]);
    let upload = member.begin_with(4, metadata).await;
    let reply = upload.at(&gateway, "ana").add(0, "text").await;
    assert_eq!(reply.code(), "knowledge_base_forbidden");
    let list = gateway.request_in(Method::GET, "/api/documents", "ana", &["hr"]);
    assert_eq!(
        gateway.send(list).await.json()["items"],
        serde_json::json!([])
    );
    // The control: a member's becomes a document of the group.
    let member = Resumable::of(&gateway, "bo").within(&["hr"]);
    let upload = member.begin_with(4, metadata).await;
    let done = upload.add(0, "text").await;
    assert_eq!(at(&done), (204, "4"));
    assert_eq!(upload.document(&done).await["knowledge_base"], "hr");
}

#[tokio::test]
async fn without_a_database_nothing_begins() {
    let gateway = Gateway::start(Parts::default()).await;
    let mut upload = Resumable::of(&gateway, "ana");
    let begun = upload.ask(4, "filename YS50eHQ=").await;
    assert_eq!(begun.code(), "storage_unavailable");
    upload.path = "/api/uploads/019aab4e-0000-7000-8000-000000000000".to_owned();
    assert_eq!(upload.look().await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(upload.add(0, "text").await.code(), "storage_unavailable");
}
