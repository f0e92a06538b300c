//! What the document says may be sent, held against what is refused as unknown.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, StatusCode};

use super::{concrete, document, json_bodies, operations};
use crate::tests::support::{Gateway, Parts, Reply};

/// Who may ask everything.
const ADMINS: [&str; 1] = ["admins"];

/// The sentence of a refusal, in either shape.
fn message(reply: &Reply) -> String {
    let body = reply.json();
    let message = body["error"]["message"].as_str();
    message.or(body["detail"].as_str()).unwrap().to_owned()
}

/// The names that a refusal of an unknown one lists.
fn listed(message: &str) -> BTreeSet<String> {
    let (_, names) = message.split_once("It takes: ").unwrap();
    names.split(", ").map(str::to_owned).collect()
}

#[tokio::test]
async fn queries_of_lists_are_those_that_are_documented() {
    let gateway = Gateway::start(Parts::default()).await;
    let mut compared = 0;
    for ((method, path), operation) in operations(&document()) {
        let documented: BTreeSet<String> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|it| it["in"] == "query")
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect();
        if documented.is_empty() || path.starts_with("/auth") {
            continue;
        }
        let method: Method = method.parse().unwrap();
        let unknown = format!("{}?no-such-parameter=1", concrete(&path));
        let request = gateway.request_in(method, &unknown, "ana", &ADMINS);
        let reply = gateway.send(request).await;
        assert_eq!(reply.code(), "unknown_parameter", "{path}: {reply:?}");
        assert_eq!(listed(&message(&reply)), documented, "{path}");
        compared += 1;
    }
    assert!(compared >= 8, "{compared}");
}

#[tokio::test]
async fn fields_of_bodies_are_those_that_are_documented() {
    let gateway = Gateway::start(Parts::default()).await;
    let bodies = json_bodies(&document());
    assert!(bodies.len() >= 9, "{bodies:?}");
    for (method, path, schema) in bodies {
        assert_eq!(schema["additionalProperties"], false, "{path}");
        let properties = schema["properties"].as_object().unwrap();
        let mut request = gateway.request_in(method, &path, "ana", &ADMINS);
        *request.body_mut() = Body::from(r#"{"no_such_field": 1}"#);
        let reply = gateway.send(request).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::BAD_REQUEST, "unknown_parameter"),
            "{path}"
        );
        let documented: BTreeSet<String> = properties.keys().cloned().collect();
        assert_eq!(listed(&message(&reply)), documented, "{path}");
    }
}
