use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, StatusCode};
use futures::TryStreamExt as _;
use lotoai_contracts::events::{
    DocumentFailed, DocumentIndexed, DocumentProgressed, Event, IngestionStep,
};
use lotoai_kit::rabbitmq::{Delivery, Outcome};
use lotoai_policy::documents::{uploaded_by, visible_to};
use lotoai_policy::{Caller, Proof};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde_json::{Value, json};
use std::future::ready;
use std::sync::Mutex;
use std::time::Duration;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::support::{Gateway, Parts, Reply};
use crate::export::document::download;
use crate::failure::Failure;
use crate::outbox::{Publish, relay_batch};
use crate::status_consumer::handle;
use crate::store::{Document, NewDocument, OutboxRow};

const BOUNDARY: &str = "a-boundary-that-no-file-holds";

fn form(fields: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
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

/// What comes back is what was sent, to be saved under its name and never to be shown.
#[tokio::test]
async fn a_document_is_given_back_as_a_file() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let page = "<script>alert(\"año\")</script>";
    for (name, media_type, disposition) in [
        (
            "plan.html",
            "text/html",
            "attachment; filename=\"plan.html\"",
        ),
        (
            "año.md",
            "text/markdown",
            "attachment; filename=\"a_o.md\"; filename*=UTF-8''a%C3%B1o.md",
        ),
    ] {
        let document = upload(&gateway, "ana", name, page).await.json();
        let path = format!(
            "/api/documents/{}/content",
            document["id"].as_str().unwrap()
        );
        let file = gateway.get(&path, "ana").await;
        assert_eq!((file.status, file.body.as_str()), (StatusCode::OK, page));
        for (header, value) in [
            ("content-type", media_type),
            ("content-disposition", disposition),
            ("content-length", &*page.len().to_string()),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(file.header(header), value, "{header} of {name}");
        }
        // The rule of the document itself: everybody reads the default knowledge base.
        let head = gateway.request(Method::HEAD, &path, "eve");
        let head = gateway.send(head).await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(head.header("content-length"), page.len().to_string());
    }
}

/// What is in memory of a file counts until it is taken.
#[tokio::test]
async fn a_file_has_room_until_it_is_taken() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let text = "x".repeat(60_000);
    let document = upload(&gateway, "ana", "plan.txt", &text).await.json();
    let path = format!(
        "/api/documents/{}/content",
        document["id"].as_str().unwrap()
    );
    let admission = &gateway.state.admission;
    let all = admission.room(u64::MAX).unwrap();
    let refused = gateway.get(&path, "ana").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (429, "overloaded")
    );
    drop(all);
    let request = gateway.request(Method::GET, &path, "ana");
    let response = gateway.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // Also when all of it is written.
    gateway.settle().await;
    assert!(admission.room(u64::MAX).is_err());
    drop(response);
    assert!(admission.room(u64::MAX).is_ok(), "it is let go");
    // The control: it is whole.
    assert_eq!(gateway.get(&path, "ana").await.body, text);
}

#[tokio::test]
async fn a_file_whose_bytes_are_lost_is_a_500() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let document = upload(&gateway, "ana", "plan.txt", "the plan").await;
    let path = format!(
        "/api/documents/{}/content",
        document.json()["id"].as_str().unwrap()
    );
    assert_eq!(gateway.get(&path, "ana").await.body, "the plan");
    let mut all = gateway.objects.list(None);
    while let Some(object) = all.try_next().await.unwrap() {
        gateway.objects.delete(&object.location).await.unwrap();
    }
    let reply = gateway.get(&path, "ana").await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (500, "internal_error")
    );
}

/// The row of a document whose bytes are under this key.
fn row(object_key: &str) -> Document {
    Document {
        id: Uuid::nil(),
        name: "plan.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        size: 8,
        knowledge_base: "default".to_owned(),
        status: "indexed".to_owned(),
        step: None,
        done: 0,
        total: 0,
        steps: Vec::new(),
        chunks: None,
        error: None,
        created_at: String::new(),
        owner: "ana".to_owned(),
        groups: Vec::new(),
        content_hash: String::new(),
        object_key: object_key.to_owned(),
    }
}

/// Its row is read, then its bytes are found to be gone: what the row says then is what counts.
#[tokio::test]
async fn a_file_that_changes_while_it_is_asked_for_is_what_it_is_then() {
    let gateway = Gateway::start(Parts::default()).await;
    let bytes = Bytes::from_static(b"the plan");
    let newer = Path::from("newer");
    let put = gateway.objects.put(&newer, bytes.into());
    put.await.unwrap();
    let given = async |keys: &[&str]| {
        let keys = Mutex::new(keys.iter());
        let next = || {
            let key = keys.lock().unwrap().next();
            let row = key.map(|key| row(key));
            ready(row.ok_or_else(|| Failure::not_found("document")))
        };
        download(&gateway.state, next).await
    };
    let deleted = given(&["older"]).await.unwrap_err();
    assert_eq!(deleted.code, "document_not_found");
    let uploaded_again = given(&["older", "newer"]).await.unwrap();
    let bytes = to_bytes(uploaded_again.into_body(), 100).await.unwrap();
    assert_eq!(bytes, "the plan");
    let lost = given(&["older", "older"]).await.unwrap_err();
    assert_eq!(lost.code, "internal_error");
}

async fn report(gateway: &Gateway, event: &impl Event) -> Outcome {
    deliver(
        gateway,
        event_name(event),
        serde_json::to_vec(event).unwrap(),
    )
    .await
}

fn event_name<E: Event>(_: &E) -> &'static str {
    E::NAME
}

async fn deliver(gateway: &Gateway, key: &str, body: Vec<u8>) -> Outcome {
    let delivery = Delivery {
        routing_key: key.into(),
        message_id: "m".into(),
        body,
        redelivered: false,
        delivery_count: 0,
    };
    handle(&gateway.state.store, &gateway.service.shutdown, delivery).await
}

/// Reports in every order that a broker may bring them in.
async fn report_all(gateway: &Gateway, path: &str, id: &str, hash: &str, older: &str) {
    let progressed = |step, done, hash: &str| DocumentProgressed {
        document_id: id.into(),
        content_hash: hash.into(),
        step,
        done,
        total: 9,
    };
    let failed = |hash: &str| DocumentFailed {
        document_id: id.into(),
        content_hash: hash.into(),
        step: IngestionStep::Parsing,
        code: "bad\0".into(),
        message: "because".into(),
    };
    let indexed = |hash: &str| DocumentIndexed {
        document_id: id.into(),
        content_hash: hash.into(),
        chunks: 9,
    };
    let status = async || {
        let it = gateway.get(path, "ana").await.json();
        format!("{} {} {}", it["status"], it["step"], it["done"]).replace('"', "")
    };
    let steps = async || {
        let document = gateway.get(path, "ana").await.json();
        let steps = document["steps"].as_array().unwrap().clone();
        for step in &steps {
            let (began, ended) = (&step["began_at"], &step["ended_at"]);
            let is_in_order = ended
                .as_str()
                .is_none_or(|end| began.as_str().unwrap() <= end);
            assert!(is_in_order, "{step}");
        }
        let shown = steps.iter().map(|it| {
            let end = if it["ended_at"].is_null() { "" } else { "." };
            format!("{} {}{end}", it["step"], it["done"]).replace('"', "")
        });
        shown.collect::<Vec<_>>()
    };
    use IngestionStep::{Embedding, Fetching, Parsing};
    report(gateway, &progressed(Embedding, 3, older)).await;
    report(gateway, &indexed(older)).await;
    assert_eq!(
        status().await,
        "uploaded null 0",
        "older content is not this content"
    );
    assert!(steps().await.is_empty());
    report(gateway, &progressed(Fetching, 0, hash)).await;
    assert_eq!(steps().await, ["fetching 0"]);
    report(gateway, &progressed(Embedding, 3, hash)).await;
    assert_eq!(status().await, "indexing embedding 3");
    report(gateway, &progressed(Embedding, 2, hash)).await;
    report(gateway, &progressed(Parsing, 9, hash)).await;
    assert_eq!(
        status().await,
        "indexing embedding 3",
        "a late report does not lead back"
    );
    assert_eq!(steps().await, ["fetching 9.", "embedding 3"]);
    assert_eq!(report(gateway, &failed(hash)).await, Outcome::Done);
    assert_eq!(
        gateway.get(path, "ana").await.json()["error"]["code"],
        "bad"
    );
    assert_eq!(steps().await, ["fetching 9.", "embedding 3."]);
    let retry = gateway.request(Method::POST, &format!("{path}/retry"), "ana");
    assert_eq!(gateway.send(retry).await.status, StatusCode::ACCEPTED);
    assert_eq!(status().await, "uploaded null 0");
    assert!(steps().await.is_empty(), "it begins anew");
    report(gateway, &progressed(Embedding, 3, hash)).await;
    relay_batch(&gateway.state.store, &Broker::default())
        .await
        .unwrap();
    report(gateway, &indexed(hash)).await;
    report(gateway, &indexed(hash)).await;
    report(gateway, &failed(hash)).await;
    report(gateway, &progressed(Embedding, 9, hash)).await;
    let document = gateway.get(path, "ana").await.json();
    assert_eq!(
        (&document["status"], &document["chunks"]),
        (&json!("indexed"), &json!(9))
    );
    assert_eq!(document["error"], Value::Null);
    assert_eq!(steps().await, ["embedding 9."]);
    let garbage = deliver(gateway, DocumentIndexed::NAME, b"{}".to_vec()).await;
    assert!(matches!(garbage, Outcome::Reject(_)));
    let unknown = deliver(gateway, "document.lost", b"{}".to_vec()).await;
    assert!(matches!(unknown, Outcome::Reject(_)));
}

#[tokio::test]
async fn a_report_waits_for_the_database_until_a_stop() {
    let gateway = Gateway::start(Parts::default()).await;
    let event = DocumentIndexed {
        document_id: uuid::Uuid::nil().to_string(),
        content_hash: "h".into(),
        chunks: 1,
    };
    // Past several pauses it has not gone back to the queue.
    tokio::time::pause();
    let waiting = tokio::time::timeout(Duration::from_secs(60), report(&gateway, &event));
    assert!(waiting.await.is_err());
    gateway.service.shutdown.cancel();
    assert_eq!(report(&gateway, &event).await, Outcome::Retry);
}

#[tokio::test]
async fn a_document_that_nothing_was_heard_of_may_be_retried() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let age = async |minutes: i32| {
        sqlx::query("update documents set updated_at = now() - make_interval(mins => $1)")
            .bind(minutes)
            .execute(&pool)
            .await
            .unwrap();
    };
    let document = upload(&gateway, "ana", "a.txt", "text").await.json();
    let retry = format!("/api/documents/{}/retry", document["id"].as_str().unwrap());
    let retry = async || {
        let request = gateway.request(Method::POST, &retry, "ana");
        gateway.send(request).await.status
    };
    age(29).await;
    let again = upload(&gateway, "ana", "a.txt", "text").await;
    assert_eq!(again.status, StatusCode::OK, "it may still be under way");
    assert_eq!(retry().await, StatusCode::OK);
    age(31).await;
    let again = upload(&gateway, "ana", "a.txt", "text").await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{again:?}");
    assert_eq!(again.json()["id"], document["id"]);
    age(31).await;
    assert_eq!(retry().await, StatusCode::ACCEPTED);
    assert_eq!(gateway.state.store.outbox_backlog().await.unwrap(), 3);
}

#[tokio::test]
async fn a_group_has_its_own_knowledge_base() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let body = |name| {
        form(&[
            ("knowledge_base", None, b"hr"),
            ("file", Some(name), b"secret"),
        ])
    };
    let document = post(&gateway, "ana", &["hr"], body("a.txt")).await.json();
    let path = format!("/api/documents/{}", document["id"].as_str().unwrap());
    let get = |subject, groups: &[&str]| gateway.request_in(Method::GET, &path, subject, groups);
    assert_eq!(
        gateway.send(get("bo", &["hr"])).await.status,
        StatusCode::OK
    );
    assert_eq!(
        gateway.send(get("bo", &["admins"])).await.status,
        StatusCode::OK
    );
    let foreign = gateway.send(get("bo", &["sales"])).await;
    let unknown = gateway
        .get("/api/documents/00000000-0000-0000-0000-000000000000", "bo")
        .await;
    assert_eq!(
        (foreign.status, &foreign.body),
        (StatusCode::NOT_FOUND, &unknown.body)
    );

    for number in 0..4 {
        upload(&gateway, "ana", &format!("{number}.txt"), "text").await;
    }
    let page = gateway.get("/api/documents?limit=3", "bo").await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    assert_eq!(page["items"][0]["name"], "3.txt", "the newest is first");
    let next = format!(
        "/api/documents?limit=3&cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    let rest = gateway.get(&next, "bo").await.json();
    assert_eq!(
        rest["items"].as_array().unwrap().len(),
        1,
        "without what is not bo's to see"
    );
    assert_eq!(rest["next_cursor"], Value::Null);
    let only = gateway
        .get("/api/documents?knowledge_base=hr", "ana")
        .await
        .json();
    assert_eq!(only["items"][0]["name"], "a.txt");

    server.lose();
    let reply = gateway.get("/api/documents", "ana").await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (503, "storage_unavailable")
    );
}

/// The statements find what the policy says, and nothing else.
#[tokio::test]
async fn the_database_finds_what_the_policy_says() {
    const STORED: [(&str, &[&str]); 6] = [
        ("ana", &[]),
        ("ana", &["*"]),
        ("ana", &["hr", "admins"]),
        ("bo", &["hr"]),
        ("bo", &["ana"]),
        ("eve", &["hr-2", "sales"]),
    ];
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let store = &gateway.state.store;
    let owned = |words: &[&str]| words.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    let stored = STORED.map(|(owner, groups)| NewDocument {
        id: Uuid::now_v7(),
        owner: owner.to_owned(),
        groups: owned(groups),
        knowledge_base: "default".to_owned(),
        name: format!("{owner} for {groups:?}.txt"),
        media_type: "text/plain".to_owned(),
        size: 1,
        content_hash: "0".repeat(64),
        object_key: Uuid::now_v7().to_string(),
    });
    let mut change = store.begin().await.unwrap();
    for new in &stored {
        change.upsert_document(new).await.unwrap();
    }
    change.commit().await.unwrap();

    let callers: [(&str, &[&str]); 6] = [
        ("ana", &[]),
        ("ana", &["hr"]),
        ("eve", &[]),
        ("eve", &["hr", "sales"]),
        ("hr", &["h", "HR", "hr-"]),
        ("root", &["admins"]),
    ];
    let mut asked = vec![uploaded_by("ana"), uploaded_by("nobody")];
    asked.extend(callers.map(|(subject, groups)| {
        visible_to(Caller {
            subject,
            groups: &owned(groups),
            proof: Proof::Person,
        })
    }));
    let mut counts = Vec::new();
    for visible in asked {
        let page = store.documents(&visible, None, None, 100).await.unwrap();
        for new in &stored {
            let expected = visible.includes(&new.owner, &new.groups);
            let one = store.document(&visible, new.id).await.unwrap();
            let listed = page.iter().any(|it| it.id == new.id);
            assert_eq!(
                (one.is_some(), listed),
                (expected, expected),
                "{visible:?}: {}",
                new.name
            );
        }
        counts.push(page.len());
    }
    assert_eq!(counts, [3, 0, 3, 4, 2, 4, 1, 6], "the control");
}
