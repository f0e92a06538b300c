//! `/v1/responses`: what its tests share.

mod background;
mod functions;
mod kept;
mod refusals;
mod stored;
mod streams;
mod whole;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::orchestrator;
use super::support::{Gateway, Parts, Reply};

fn request(gateway: &Gateway, subject: &str, model: &str, more: &Value) -> Request<Body> {
    let mut body = json!({"model": model, "store": false, "input": "¿Cuántos?"});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    let mut request = gateway.request(Method::POST, "/v1/responses", subject);
    *request.body_mut() = Body::from(body.to_string());
    request
}

async fn ask(gateway: &Gateway, model: &str, more: &Value) -> Reply {
    gateway.send(request(gateway, "ana", model, more)).await
}

/// The same, stored.
fn storing(more: &Value) -> Value {
    let mut body = json!({"store": true});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

async fn gateway() -> Gateway {
    let (orchestrator, _) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        ..Parts::default()
    };
    Gateway::start(parts).await
}

/// The events of a stream. Each has its type as its name and is numbered; there is no other end.
fn events(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let events: Vec<Value> = reply
        .body
        .trim_end()
        .split("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data["type"], name.strip_prefix("event: ").unwrap());
            data
        })
        .collect();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    events
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|it| it["type"].as_str().unwrap())
        .collect()
}

fn weather() -> Value {
    json!([
        {"type": "function", "name": "weather", "parameters": {"type": "object"}},
        {"type": "function", "name": "clock"},
    ])
}

/// The items with which model `caller` answers.
fn calls() -> [Value; 2] {
    let call = |id: &str, name: &str, arguments: &str| {
        json!({"type": "function_call", "status": "completed", "call_id": id, "name": name,
               "arguments": arguments})
    };
    [
        call("call_a", "weather", "{\"city\":\"Rome\"}"),
        call("call_b", "clock", "{}"),
    ]
}

fn without_id(item: &Value) -> Value {
    let mut item = item.clone();
    assert!(item["id"].as_str().unwrap().starts_with("fc_"));
    item.as_object_mut().unwrap().remove("id");
    item
}
