//! What ingestion reports of a document, and what becomes of one that nothing is heard of.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use lotoai_contracts::events::{
    DocumentFailed, DocumentIndexed, DocumentProgressed, Event, IngestionStep,
};
use lotoai_kit::rabbitmq::{Delivery, Outcome};
use serde_json::{Value, json};

use super::{Broker, upload};
use crate::outbox::relay_batch;
use crate::status_consumer::handle;
use crate::tests::support::{Gateway, Parts};

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
pub(super) async fn report_all(gateway: &Gateway, path: &str, id: &str, hash: &str, older: &str) {
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
    report(gateway, &failed(hash)).await;
    assert_eq!(
        gateway.get(path, "ana").await.json()["status"],
        "failed",
        "its passages are forgotten"
    );
    report(gateway, &indexed(hash)).await;
    report(gateway, &indexed(hash)).await;
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
