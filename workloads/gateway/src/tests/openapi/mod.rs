//! The OpenAPI document: whole, well-formed, and true.

mod answers;
mod lists;
mod pages;
mod requests;
mod statuses;
mod validator;

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use lotoai_policy::{Needs, Scope};
use serde_json::{Value, json};

pub(crate) use self::statuses::Statuses;
use super::support::PUBLIC_URL;
use crate::routes::{Route, table};

pub(super) fn document() -> Value {
    crate::openapi::document(&PUBLIC_URL.parse().unwrap())
}

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// All operations by method and path.
fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let mut all = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{path}: {method}");
            let key = (method.to_ascii_uppercase(), path.clone());
            all.insert(key, operation.clone());
        }
    }
    all
}

/// A path in which every parameter has a value.
fn concrete(path: &str) -> String {
    path.replace("{id}", "019aab4e-0000-7000-8000-000000000000")
}

/// The calls that take JSON, each with a path to ask and the schema of its body.
pub(super) fn json_bodies(document: &Value) -> Vec<(Method, String, Value)> {
    let mut bodies = Vec::new();
    for ((method, path), operation) in operations(document) {
        let content = &operation["requestBody"]["content"]["application/json"];
        if content.is_null() {
            continue;
        }
        let reference = content["schema"]["$ref"].as_str();
        let reference = reference.unwrap_or_else(|| panic!("{path}: {content} has no name"));
        let schema = document.pointer(&reference[1..]).unwrap().clone();
        bodies.push((method.parse().unwrap(), concrete(&path), schema));
    }
    bodies
}

/// What only one of the two has: routes that are not documented, and calls that are no routes.
fn difference(document: &Value, routes: &[Route]) -> [BTreeSet<(String, String)>; 2] {
    let documented: BTreeSet<_> = operations(document).into_keys().collect();
    let routed: BTreeSet<_> = routes
        .iter()
        .map(|route| (route.method.to_string(), route.path.to_owned()))
        .collect();
    [
        routed.difference(&documented).cloned().collect(),
        documented.difference(&routed).cloned().collect(),
    ]
}

#[test]
fn every_route_is_documented_and_every_documented_call_is_a_route() {
    let [undocumented, unrouted] = difference(&document(), &table());
    assert!(
        undocumented.is_empty(),
        "describe these beside their handlers with #[utoipa::path], and name the handlers in \
         openapi/mod.rs: {undocumented:?}"
    );
    assert!(unrouted.is_empty(), "no route is like these: {unrouted:?}");
}

#[test]
fn what_one_of_the_two_lacks_is_found() {
    let mut less = document();
    let path = less["paths"].as_object_mut().unwrap();
    path.remove("/v1/models").unwrap();
    path["/api/documents"]
        .as_object_mut()
        .unwrap()
        .remove("post")
        .unwrap();
    let [undocumented, unrouted] = difference(&less, &table());
    let pair = |method: &str, path: &str| (method.to_owned(), path.to_owned());
    let expected = [pair("GET", "/v1/models"), pair("POST", "/api/documents")];
    assert_eq!(undocumented, BTreeSet::from(expected));
    assert!(unrouted.is_empty());

    let mut more = document();
    more["paths"]["/api/nothing"] = json!({ "get": {} });
    let [undocumented, unrouted] = difference(&more, &table());
    assert_eq!(unrouted, BTreeSet::from([pair("GET", "/api/nothing")]));
    assert!(undocumented.is_empty());
}

#[test]
fn every_call_says_whom_it_answers_as_the_policy_does() {
    let all = operations(&document());
    for route in table() {
        let key = (route.method.to_string(), route.path.to_owned());
        let operation = &all[&key];
        let ways: Vec<&str> = operation["security"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|way| way.as_object().unwrap().keys().map(String::as_str))
            .collect();
        let expected: &[&str] = match route.needs {
            Needs::Nothing => &[],
            Needs::Caller | Needs::Scope(_) => &["accessToken", "apiKey", "session"],
            Needs::Person | Needs::Admin => &["accessToken", "session"],
        };
        assert_eq!(ways, expected, "{key:?}");
        if let Needs::Scope(scope) = route.needs {
            assert_eq!(
                operation["security"][1]["apiKey"],
                json!([scope.name()]),
                "{key:?}"
            );
        }
        let responses = operation["responses"].as_object().unwrap();
        let guarded = route.needs != Needs::Nothing;
        // At the end of a sign-in nobody is known yet: what is refused is the provider's token.
        let expected = guarded || route.path == "/auth/callback";
        assert_eq!(responses.contains_key("401"), expected, "{key:?}");
    }
}

#[test]
fn every_call_is_described_and_every_refusal_has_the_shape_of_its_api() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"], json!([{ "url": PUBLIC_URL }]));
    let tags: Vec<&Value> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    let mut ids = BTreeSet::new();
    for ((method, path), operation) in &operations(&document) {
        let call = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{call}: {id} is taken");
        assert!(
            operation["summary"].as_str().is_some_and(|it| it.len() > 8),
            "{call}"
        );
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{call}");
        assert!(tags.contains(&&operation["tags"][0]), "{call}");
        let text = operation.to_string();
        assert!(!text.contains("# Errors") && !text.contains("[`"), "{call}");
        let (media_type, shape) = if path.starts_with("/v1") {
            ("application/json", "#/components/schemas/OpenAiError")
        } else {
            ("application/problem+json", "#/components/schemas/Problem")
        };
        for (status, response) in operation["responses"].as_object().unwrap() {
            let description = response["description"].as_str().unwrap();
            assert!(!description.is_empty(), "{call} {status}");
            if status == "default" || status.starts_with(['4', '5']) {
                let content = &response["content"][media_type]["schema"]["$ref"];
                assert_eq!(content, shape, "{call} {status}");
            }
        }
    }
}

#[test]
fn writes_take_a_key_of_idempotency_and_reads_do_not() {
    let reference = json!({ "$ref": "#/components/parameters/IdempotencyKey" });
    let mut writes = 0;
    for ((method, path), operation) in operations(&document()) {
        let parameters = operation["parameters"].as_array();
        let takes = parameters.is_some_and(|all| all.contains(&reference));
        // Sign-out and the provider's word are no calls of somebody who is known.
        let reads = ["GET", "HEAD", "OPTIONS"].contains(&method.as_str());
        let expected = !reads && !path.starts_with("/auth");
        assert_eq!(takes, expected, "{method} {path}");
        writes += usize::from(takes);
    }
    assert!(writes >= 6);
}

#[test]
fn the_scopes_of_keys_are_all_listed() {
    let document = document();
    let listed = &document["components"]["schemas"]["Scope"]["enum"];
    assert_eq!(listed, &json!(Scope::ALL.map(Scope::name)));
}
