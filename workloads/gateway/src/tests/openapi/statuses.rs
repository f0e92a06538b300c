//! Which statuses the document describes of each call.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{document, operations};
use crate::openapi::COMMON;

/// The statuses that the document describes.
pub(crate) struct Statuses {
    /// Of each method and path.
    operations: BTreeMap<(String, String), Value>,
}

impl Statuses {
    /// Those of the whole document.
    pub(crate) fn of_document() -> Self {
        Self::of(&document())
    }

    pub(super) fn of(document: &Value) -> Self {
        Self {
            operations: operations(document),
        }
    }

    /// What is wrong with an answer of this status to a request with this path: the document describes
    /// it neither by itself nor, where it is a failure that any call may have, with those.
    pub(crate) fn fault(&self, method: &Method, path: &str, status: StatusCode) -> Option<String> {
        let calls = self
            .operations
            .iter()
            .filter(|((verb, route), _)| *verb == method.as_str() && fits(route, path));
        // As the router does: a word goes before a parameter.
        let call = calls.min_by_key(|((_, route), _)| route.matches('{').count());
        match call {
            Some((_, operation)) if is_described(operation, status) => None,
            Some(((_, route), _)) => Some(format!("{method} {route}: {status} is not described")),
            None => Some(format!("{method} {path} is no call of the document")),
        }
    }
}

fn is_described(operation: &Value, status: StatusCode) -> bool {
    let listed = operation["responses"].get(status.as_str()).is_some();
    listed || status.is_server_error() || COMMON.contains(&status.as_u16())
}

/// Whether a path is one of a route, whose parameters stand in braces.
fn fits(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(word), Some(part)) if word == part => {}
            (Some(word), Some(part)) if word.starts_with('{') && !part.is_empty() => {}
            _ => return false,
        }
    }
}

/// Statuses that the text of a call says are errors of it, and that are not described.
fn promised(document: &Value) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    for ((method, path), operation) in operations(document) {
        let text = operation["description"].as_str().unwrap_or_default();
        let errors = text.split_once("Errors: ").map_or("", |(_, errors)| errors);
        for word in errors.split(|it: char| !it.is_ascii_alphanumeric()) {
            let Ok(status) = StatusCode::from_bytes(word.as_bytes()) else {
                continue;
            };
            if status.is_client_error() && !is_described(&operation, status) {
                missing.insert(format!("{method} {path} {word}"));
            }
        }
    }
    missing
}

#[test]
fn what_a_call_says_of_its_errors_is_described() {
    let mut document = document();
    assert_eq!(promised(&document), BTreeSet::new());
    // The control.
    let responses = &mut document["paths"]["/api/uploads/{id}"]["head"]["responses"];
    responses.as_object_mut().unwrap().remove("415").unwrap();
    let missing = BTreeSet::from(["HEAD /api/uploads/{id} 415".to_owned()]);
    assert_eq!(promised(&document), missing);
}

#[test]
fn a_status_that_is_not_described_is_found() {
    let document = json!({ "paths": {
        "/api/things/{id}": { "get": { "responses": { "200": {}, "404": {}, "default": {} } } },
        "/api/things/search": { "get": { "responses": { "200": {}, "default": {} } } },
    } });
    let statuses = Statuses::of(&document);
    let described = |method: Method, path: &str, status: u16| {
        let status = StatusCode::from_u16(status).unwrap();
        statuses.fault(&method, path, status).is_none()
    };
    for status in [200, 404, 429, 503] {
        assert!(described(Method::GET, "/api/things/1", status), "{status}");
    }
    for status in [201, 403, 415] {
        assert!(!described(Method::GET, "/api/things/1", status), "{status}");
    }
    assert!(described(Method::GET, "/api/things/search", 200));
    assert!(!described(Method::GET, "/api/things/search", 404));
    assert!(
        !described(Method::POST, "/api/things/1", 200),
        "no such call"
    );
    for path in ["/api/things", "/api/things/", "/api/things/1/2"] {
        assert!(!described(Method::GET, path, 200), "{path}");
    }
}
