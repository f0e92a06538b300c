//! Documents: what is taken, and how one goes from its upload to its deletion.

mod content;
mod reports;
mod rights;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Mutex;

use self::reports::report_all;
use super::support::{Gateway, Parts, Reply};
use crate::outbox::{Publish, relay_batch};
use crate::store::OutboxRow;

pub(super) const BOUNDARY: &str = "a-boundary-that-no-file-holds";

pub(super) fn form(fields: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file_name, content) in fields {
        let file_name = file_name
            .map(|it| format!("; filename=\"{it}\""))
            .unwrap_or_default();
        body.extend_from_slice(
            format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

async fn post(gateway: &Gateway, subject: &str, groups: &[&str], body: Vec<u8>) -> Reply {
    let mut request = gateway.request_in(Method::POST, "/api/documents", subject, groups);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    request
        .headers_mut()
        .insert("content-type", kind.parse().unwrap());
    *request.body_mut() = Body::from(body);
    gateway.send(request).await
}

pub(super) async fn upload(gateway: &Gateway, subject: &str, name: &str, content: &str) -> Reply {
    post(
        gateway,
        subject,
        &[],
        form(&[("file", Some(name), content.as_bytes())]),
    )
    .await
}

#[rstest::rstest]
#[case::type_by_name(form(&[("file", Some("a.pdf"), b"text")]), 415, "unsupported_media_type")]
#[case::no_extension(form(&[("file", Some("a"), b"text")]), 415, "unsupported_media_type")]
#[case::binary(form(&[("file", Some("a.txt"), b"%PDF\x00")]), 415, "unsupported_media_type")]
#[case::latin1(form(&[("file", Some("a.txt"), b"a\xf1o")]), 415, "unsupported_media_type")]
#[case::empty(form(&[("file", Some("a.txt"), b"")]), 400, "invalid_value")]
#[case::no_name(form(&[("file", None, b"text")]), 400, "invalid_value")]
#[case::bad_name(form(&[("file", Some(".."), b"text")]), 400, "invalid_value")]
#[case::no_file(form(&[("knowledge_base", None, b"default")]), 400, "invalid_value")]
#[case::unknown_field(form(&[("file", Some("a.txt"), b"1"), ("colour", None, b"blue")]), 400, "unknown_parameter")]
#[case::unknown_field_first(form(&[("colour", None, b"blue"), ("file", Some("a.txt"), b"1")]), 400, "unknown_parameter")]
#[case::two(form(&[("file", Some("a.txt"), b"1"), ("file", Some("b.txt"), b"2")]), 400, "invalid_value")]
#[case::base(form(&[("knowledge_base", None, b"No!"), ("file", Some("a.txt"), b"1")]), 400, "invalid_value")]
#[case::foreign_base(form(&[("knowledge_base", None, b"hr"), ("file", Some("a.txt"), b"1")]), 403, "knowledge_base_forbidden")]
#[case::late_base(form(&[("file", Some("a.txt"), b"1"), ("knowledge_base", None, b"hr")]), 403, "knowledge_base_forbidden")]
#[case::too_large(form(&[("file", Some("a.txt"), &[b'a'; 100_001])]), 413, "document_too_large")]
#[case::far_too_large(form(&[("file", Some("a.txt"), &[b'a'; 400_000])]), 413, "document_too_large")]
#[case::cut_off(form(&[("file", Some("a.txt"), b"text")])[..80].to_vec(), 400, "invalid_multipart")]
#[case::no_form(b"text".to_vec(), 400, "invalid_multipart")]
#[tokio::test]
async fn what_cannot_be_taken_is_explained(
    #[case] body: Vec<u8>,
    #[case] status: u16,
    #[case] code: &str,
) {
    // There is no database: nothing of this may get that far.
    let gateway = Gateway::start(Parts::default()).await;
    let reply = post(&gateway, "ana", &[], body).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (status, code),
        "{reply:?}"
    );
    if status == 415 {
        assert!(
            reply.json()["detail"]
                .as_str()
                .unwrap()
                .contains("text/markdown (.md")
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_form_is_refused() {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = gateway
        .send(gateway.request(Method::POST, "/api/documents", "ana"))
        .await;
    assert_eq!(reply.code(), "invalid_multipart");
}

#[tokio::test]
async fn a_good_file_without_a_database_is_a_503_and_leaves_nothing() {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = upload(&gateway, "ana", "a.txt", "text").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.code(), "storage_unavailable");
    gateway.settle().await;
    assert_eq!(gateway.state.objects.count().await, 0);
}

/// A broker that takes what it is told to take.
#[derive(Default)]
struct Broker {
    refuse: bool,
    events: Mutex<Vec<(String, Value)>>,
}

impl Publish for Broker {
    async fn publish(&self, events: &[OutboxRow]) -> (usize, Result<(), String>) {
        if self.refuse {
            return (0, Err("no confirm".into()));
        }
        let event = |row: &OutboxRow| {
            let body = serde_json::from_slice(&row.body).unwrap();
            (row.routing_key.clone(), body)
        };
        self.events.lock().unwrap().extend(events.iter().map(event));
        (events.len(), Ok(()))
    }
}

#[tokio::test]
async fn a_document_from_upload_to_deletion() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let store = &gateway.state.store;

    let first = upload(&gateway, "ana", "../notes.md", "# One").await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{first:?}");
    let document = first.json();
    assert_eq!(document["name"], "notes.md");
    assert_eq!(
        (&document["status"], &document["size"]),
        (&json!("uploaded"), &json!(5))
    );
    assert_eq!(document["media_type"], "text/markdown");
    let id = document["id"].as_str().unwrap().to_owned();
    let path = format!("/api/documents/{id}");

    // The same again changes nothing; new content keeps the id.
    let again = upload(&gateway, "ana", "notes.md", "# One").await;
    assert_eq!(
        (again.status, &again.json()["id"]),
        (StatusCode::OK, &json!(id))
    );
    assert_eq!(store.outbox_backlog().await.unwrap(), 1);
    let newer = upload(&gateway, "ana", "notes.md", "# Two!").await;
    assert_eq!(
        (newer.status, &newer.json()["id"]),
        (StatusCode::ACCEPTED, &json!(id))
    );
    let foreign = upload(&gateway, "bo", "notes.md", "# One").await.json();
    assert_ne!(foreign["id"], json!(id));

    // The relay keeps what was not confirmed, and loses nothing.
    let broker = Broker {
        refuse: true,
        ..Broker::default()
    };
    assert!(relay_batch(store, &broker).await.unwrap().failed.is_some());
    assert_eq!(store.outbox_backlog().await.unwrap(), 3);
    let broker = Broker::default();
    assert_eq!(relay_batch(store, &broker).await.unwrap().relayed, 3);
    assert_eq!(store.outbox_backlog().await.unwrap(), 0);
    let events = broker.events.into_inner().unwrap();
    assert_eq!(events[1].0, "document.uploaded");
    assert_eq!(events[1].1["document_id"], json!(id));
    assert_eq!(events[1].1["groups"], json!(["*"]));
    let hash = events[1].1["content_hash"].as_str().unwrap().to_owned();
    let older = events[0].1["content_hash"].as_str().unwrap().to_owned();

    report_all(&gateway, &path, &id, &hash, &older).await;

    // Everybody reads the default knowledge base; only the uploader and admins delete.
    let delete =
        |subject, groups: &[&str]| gateway.request_in(Method::DELETE, &path, subject, groups);
    assert_eq!(gateway.get(&path, "eve").await.status, StatusCode::OK);
    assert_eq!(
        gateway.send(delete("eve", &[])).await.code(),
        "not_your_document"
    );
    assert_eq!(
        gateway.send(delete("eve", &["admins"])).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(gateway.get(&path, "ana").await.code(), "document_not_found");
    let broker = Broker::default();
    relay_batch(store, &broker).await.unwrap();
    assert_eq!(broker.events.into_inner().unwrap()[0].0, "document.deleted");

    // Of the objects only the one that a row points to is left.
    gateway.settle().await;
    crate::objects::sweep_batch(store, &gateway.state.objects)
        .await
        .unwrap();
    assert_eq!(gateway.state.objects.count().await, 1);
}
