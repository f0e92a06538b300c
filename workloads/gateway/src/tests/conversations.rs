//! What becomes of stored conversations.

mod branches;
mod ends;
mod reading;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::budgets::question;
use super::support::{Gateway, Reply};

const NOBODYS: &str = "019aab4e-0000-7000-8000-000000000000";

/// Asks and stores; the id of the conversation.
pub(super) async fn talk(gateway: &Gateway, subject: &str, more: &Value) -> String {
    let mut stored = json!({"store": true});
    stored
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let reply = gateway.chat(subject, question("lotoai", &stored)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let id = reply.json()["lotoai"]["conversation_id"].clone();
    id.as_str().unwrap().to_owned()
}

pub(super) async fn send(
    gateway: &Gateway,
    subject: &str,
    method: Method,
    path: &str,
    body: &Value,
) -> Reply {
    let mut request = gateway.request(method, path, subject);
    if !body.is_null() {
        *request.body_mut() = Body::from(body.to_string());
    }
    gateway.send(request).await
}

async fn messages(gateway: &Gateway, id: &str) -> Vec<Value> {
    let one = gateway
        .get(&format!("/api/conversations/{id}"), "ana")
        .await;
    assert_eq!(one.status, StatusCode::OK, "{one:?}");
    one.json()["messages"].as_array().unwrap().clone()
}

/// Titles in the list, in its order.
async fn titles(gateway: &Gateway, subject: &str) -> Vec<String> {
    let list = gateway.get("/api/conversations", subject).await.json();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|it| it["title"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_title_is_changed_and_the_place_in_the_list_stays() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let first = talk(&gateway, "ana", &json!({})).await;
    talk(&gateway, "ana", &json!({})).await;
    let path = format!("/api/conversations/{first}");
    let title = json!({"title": "  Vacaciones <2026> "});
    let renamed = send(&gateway, "ana", Method::PATCH, &path, &title).await;
    assert_eq!(renamed.status, StatusCode::OK, "{renamed:?}");
    assert_eq!(renamed.json()["title"], "Vacaciones <2026>");
    assert_eq!(
        titles(&gateway, "ana").await,
        ["¿Cuántos?", "Vacaciones <2026>"]
    );
    for (body, code) in [
        (json!({"title": ""}), "invalid_value"),
        (json!({}), "missing_required_parameter"),
        (json!({"title": "a", "owner": "eve"}), "unknown_parameter"),
    ] {
        let reply = send(&gateway, "ana", Method::PATCH, &path, &body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::BAD_REQUEST, code)
        );
    }
    let long = json!({"title": "x".repeat(20_000)});
    let reply = send(&gateway, "ana", Method::PATCH, &path, &long).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn writes_on_conversations_take_effect_once_for_each_key() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let source = talk(&gateway, "ana", &json!({})).await;
    let message = messages(&gateway, &source).await[1]["id"].clone();
    let branch = async |key: &str| {
        let path = format!("/api/conversations/{source}/branch");
        let mut request = gateway.request(Method::POST, &path, "ana");
        let headers = request.headers_mut();
        headers.insert("idempotency-key", key.parse().unwrap());
        *request.body_mut() = Body::from(json!({"message_id": message}).to_string());
        gateway.send(request).await
    };
    let first = branch("k").await;
    let again = branch("k").await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(titles(&gateway, "ana").await.len(), 2);
    assert_ne!(branch("l").await.body, first.body, "the control");
    let path = format!("/api/conversations/{source}");
    for (method, status) in [
        (Method::PATCH, StatusCode::OK),
        (Method::DELETE, StatusCode::NO_CONTENT),
    ] {
        let once = async || {
            let mut request = gateway.request(method.clone(), &path, "ana");
            let key = format!("key-{method}");
            let headers = request.headers_mut();
            headers.insert("idempotency-key", key.parse().unwrap());
            *request.body_mut() = Body::from(json!({"title": "t"}).to_string());
            gateway.send(request).await
        };
        assert_eq!(once().await.status, status);
        let again = once().await;
        assert_eq!(again.status, status, "{method}");
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
}
