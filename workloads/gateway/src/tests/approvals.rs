//! Calls of tools that wait for the consent of the person who asked: how they are asked for, found and
//! decided, and how an answer goes on.

mod asking;
mod deciding;
mod resuming;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::budgets::question;
use super::support::{Gateway, Reply};

const LIST: &str = "/api/approvals";

/// An approval that waits, and the conversation that asked for it.
struct Asked {
    id: String,
    conversation: String,
}

/// Asks a question whose answer asks for consent to call `tool`.
async fn ask(gateway: &Gateway, subject: &str, tool: &str, store: bool) -> Reply {
    let body = question(&format!("asks/{tool}"), &json!({ "store": store }));
    let reply = gateway.chat(subject, body).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply
}

async fn asked(gateway: &Gateway, subject: &str, tool: &str) -> Asked {
    let extra = ask(gateway, subject, tool, true).await.json()["lotoai"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Asked {
        id: text(&extra["approvals"][0]["id"]),
        conversation: text(&extra["conversation_id"]),
    }
}

fn decision(gateway: &Gateway, subject: &str, id: &str, body: &Value) -> Request<Body> {
    let mut request = gateway.request(Method::POST, &format!("{LIST}/{id}"), subject);
    *request.body_mut() = Body::from(body.to_string());
    request
}

async fn decide(gateway: &Gateway, subject: &str, id: &str, body: &Value) -> Reply {
    gateway.send(decision(gateway, subject, id, body)).await
}

fn approve() -> Value {
    json!({ "decision": "approve" })
}

fn deny() -> Value {
    json!({ "decision": "deny" })
}

/// The text of a whole answer.
fn text(reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let answer = reply.json();
    let text = answer["choices"][0]["message"]["content"].as_str();
    text.unwrap().to_owned()
}

async fn state(gateway: &Gateway, subject: &str, id: &str) -> Value {
    let reply = gateway.get(&format!("{LIST}/{id}"), subject).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.json()["state"].clone()
}

/// The messages of one of Ana's conversations.
async fn messages(gateway: &Gateway, conversation: &str) -> Vec<Value> {
    let path = format!("/api/conversations/{conversation}");
    let reply = gateway.get(&path, "ana").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.json()["messages"].as_array().unwrap().clone()
}
