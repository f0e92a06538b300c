//! Questions that fail before anything was told of their answer: clients send them again, often by
//! themselves, and nothing stays of them but their usage.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::budgets::question;
use super::support::{Gateway, Reply};

const PATIENCE: Duration = Duration::from_secs(20);

/// A question to a model, in a conversation or a new one.
fn asking(
    gateway: &Gateway,
    model: &str,
    conversation: Option<&str>,
    more: &Value,
) -> Request<Body> {
    let mut more = more.clone();
    more["store"] = json!(true);
    if let Some(id) = conversation {
        more["metadata"] = json!({ "conversation_id": id });
    }
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    *request.body_mut() = Body::from(question(model, &more));
    request
}

/// A conversation with a question and its answer.
async fn talk(gateway: &Gateway) -> String {
    let reply = gateway.send(asking(gateway, "writer", None, &json!({})));
    let id = reply.await.json()["lotoai"]["conversation_id"].take();
    id.as_str().unwrap().to_owned()
}

async fn conversations(gateway: &Gateway) -> Vec<String> {
    let list = gateway.get("/api/conversations", "ana").await.json();
    let ids = list["items"].as_array().unwrap().iter();
    ids.map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn messages(gateway: &Gateway, id: &str) -> Vec<Value> {
    let path = format!("/api/conversations/{id}");
    let shown = gateway.get(&path, "ana").await.json();
    shown["messages"].as_array().unwrap().clone()
}

fn streamed() -> Value {
    json!({ "stream": true })
}

fn resumable() -> Value {
    json!({ "stream": true, "stream_options": { "resumable": true } })
}

#[rstest::rstest]
#[case::no_model("missing", json!({}), 404, "")]
#[case::no_model_refused("refused", json!({}), 404, "")]
#[case::no_model_streamed("missing", streamed(), 404, "")]
#[case::no_model_resumable("missing", resumable(), 404, "")]
#[case::after_the_decision("busy", json!({}), 429, "2")]
#[case::after_half_an_answer("breaks", json!({}), 503, "2")]
#[tokio::test]
async fn what_failed_by_its_status_is_not_stored(
    #[case] model: &str,
    #[case] more: Value,
    #[case] status: u16,
    #[case] retry_after: &str,
) {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let id = talk(&gateway).await;
    let before = messages(&gateway, &id).await;
    for conversation in [None, Some(&*id), None, Some(&*id)] {
        let reply = gateway.send(asking(&gateway, model, conversation, &more));
        let reply = reply.await;
        assert_eq!(reply.status.as_u16(), status, "{reply:?}");
        assert_eq!(reply.header("retry-after"), retry_after);
        gateway.settle_run().await;
    }
    assert_eq!(conversations(&gateway).await, [&*id]);
    assert_eq!(messages(&gateway, &id).await, before);
    // Each was told of all the same.
    let usage = gateway.state.store.outbox_backlog().await.unwrap();
    assert_eq!(usage, 5);
}

/// The control: who reads a stream knows where it is stored, and finds it there.
#[rstest::rstest]
#[case(streamed())]
#[case(resumable())]
#[tokio::test]
async fn what_failed_in_a_stream_stays(#[case] more: Value) {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let id = talk(&gateway).await;
    for (model, outcome) in [
        ("busy", "rate_limited"),
        ("breaks", "orchestrator_unavailable"),
    ] {
        let before = messages(&gateway, &id).await.len();
        let reply = gateway
            .send(asking(&gateway, model, Some(&id), &more))
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        assert!(reply.body.contains(outcome), "{reply:?}");
        gateway.settle_run().await;
        let after = messages(&gateway, &id).await;
        assert_eq!(after.len(), before + 2);
        assert_eq!(after.last().unwrap()["outcome"], outcome);
    }
}

/// A failure is all that its stream says: without the header its client would begin another conversation.
#[rstest::rstest]
#[case(streamed())]
#[case(resumable())]
#[tokio::test]
async fn what_failed_before_its_first_event_is_found_by_its_response(#[case] more: Value) {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let begun = gateway
        .router
        .clone()
        .oneshot(asking(&gateway, "silent", None, &more));
    let begun = tokio::time::timeout(PATIENCE, begun).await;
    let begun = begun.expect("it begins").unwrap();
    assert_eq!(begun.status(), StatusCode::OK, "{begun:?}");
    let conversation = begun.headers()["x-lotoai-conversation-id"].clone();
    gateway.state.ending.cancel();
    let told = tokio::time::timeout(PATIENCE, to_bytes(begun.into_body(), usize::MAX)).await;
    let told = String::from_utf8(told.expect("it ends").unwrap().to_vec()).unwrap();
    assert!(told.contains("shutting_down"), "{told}");
    assert!(!told.contains("conversation_id"), "{told}");
    gateway.settle_run().await;
    assert_eq!(
        conversations(&gateway).await,
        [conversation.to_str().unwrap()]
    );
}

#[tokio::test]
async fn a_retry_under_the_same_key_leaves_one_conversation() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let send = async |model: &str| -> Reply {
        let mut request = asking(&gateway, model, None, &json!({}));
        let headers = request.headers_mut();
        headers.insert("idempotency-key", "k".parse().unwrap());
        gateway.send(request).await
    };
    for _ in 0..2 {
        assert_eq!(send("busy").await.code(), "rate_limited");
    }
    let reply = send("writer").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let id = reply.json()["lotoai"]["conversation_id"].take();
    assert_eq!(json!(conversations(&gateway).await), json!([id]));
    let messages = messages(&gateway, id.as_str().unwrap()).await;
    let roles: Vec<_> = messages.iter().map(|it| it["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant"]);
}

/// It is in the list while it is answered, and somebody goes on with it.
#[tokio::test]
async fn what_was_said_meanwhile_stays() {
    let Some((server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let mut answer = Box::pin(gateway.send(asking(&gateway, "told", None, &json!({}))));
    tokio::select! {
        reply = &mut answer => panic!("{reply:?}"),
        () = seen.asked(1) => {}
    }
    let ids = conversations(&gateway).await;
    sqlx::query(
        "insert into messages (id, conversation_id, role, content)
         values (gen_random_uuid(), $1, 'user', 'meanwhile')",
    )
    .bind(ids[0].parse::<Uuid>().unwrap())
    .execute(&server.pool())
    .await
    .unwrap();
    gateway.state.ending.cancel();
    let reply = tokio::time::timeout(PATIENCE, answer).await;
    assert_eq!(reply.expect("it ends").code(), "shutting_down");
    gateway.settle().await;
    let messages = messages(&gateway, &ids[0]).await;
    let texts: Vec<_> = messages.iter().map(|it| it["content"].clone()).collect();
    assert_eq!(texts, ["meanwhile"]);
}
