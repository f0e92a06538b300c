//! What the document says is answered, held against what is answered.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Statuses, document, operations};
use crate::failure::Failure;
use crate::tests::api_keys::{bearing, key};
use crate::tests::browser::{ANA, sign_in_as};
use crate::tests::budgets::PRICES;
use crate::tests::model_server::{self, MODEL};
use crate::tests::orchestrator;
use crate::tests::support::{Gateway, Parts, Reply};

const BOUNDARY: &str = "a-boundary-that-no-file-holds";

/// The document, in which an answer may have no field that is not described.
struct Contract {
    document: Value,
    statuses: Statuses,
}

impl Contract {
    fn new() -> Self {
        let mut document = document();
        let mut parts = BTreeSet::new();
        gather_parts(&document, &mut parts);
        let schemas = document["components"]["schemas"].as_object_mut().unwrap();
        for (name, schema) in schemas {
            close(schema, parts.contains(name));
        }
        let statuses = Statuses::of(&document);
        Self { document, statuses }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        schema["components"] = self.document["components"].clone();
        jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .build(&schema)
            .unwrap()
    }

    /// What is wrong with an answer to a call; nothing when it is as described.
    fn faults(&self, method: &Method, path: &str, reply: &Reply) -> Vec<String> {
        let all = operations(&self.document);
        let operation = &all[&(method.to_string(), path.to_owned())];
        let status = reply.status.as_u16().to_string();
        let responses = &operation["responses"];
        let response = responses.get(&status).unwrap_or(&responses["default"]);
        if let Some(fault) = self.statuses.fault(method, path, reply.status) {
            return vec![fault];
        }
        let Some(content) = response["content"].as_object() else {
            let is_empty = reply.body.is_empty();
            return if is_empty {
                vec![]
            } else {
                vec!["it has a body".to_owned()]
            };
        };
        let media_type = reply.header("content-type").split(';').next().unwrap();
        let Some(described) = content.get(media_type) else {
            return vec![format!("{media_type} is not described")];
        };
        let validator = self.validator(&described["schema"]);
        let body = reply.json();
        let errors = validator.iter_errors(&body);
        errors
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect()
    }
}

/// Names of schemas that are parts of others.
fn gather_parts(value: &Value, parts: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for part in map
                .get("allOf")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                if let Some(reference) = part["$ref"].as_str() {
                    parts.insert(reference.rsplit('/').next().unwrap().to_owned());
                }
            }
            map.values().for_each(|it| gather_parts(it, parts));
        }
        Value::Array(list) => list.iter().for_each(|it| gather_parts(it, parts)),
        _ => {}
    }
}

/// Closes a schema to what it does not describe; a part of another one is closed with that.
fn close(schema: &mut Value, is_part: bool) {
    let Value::Object(map) = schema else {
        return;
    };
    if let Some(Value::Array(all)) = map.get_mut("allOf") {
        all.iter_mut().for_each(|it| close(it, true));
        if !is_part {
            map.insert("unevaluatedProperties".to_owned(), json!(false));
        }
    }
    let is_object = map.contains_key("properties") && !map.contains_key("additionalProperties");
    if is_object && !is_part {
        map.insert("additionalProperties".to_owned(), json!(false));
    }
    for (keyword, value) in map.iter_mut() {
        match keyword.as_str() {
            "properties" => {
                let fields = value.as_object_mut().unwrap().values_mut();
                fields.for_each(|it| close(it, false));
            }
            "items" => close(value, false),
            "oneOf" | "anyOf" => {
                let parts = value.as_array_mut().unwrap().iter_mut();
                parts.for_each(|it| close(it, false));
            }
            _ => {}
        }
    }
}

/// A gateway with everything behind it, and budgets.
struct Platform {
    gateway: Gateway,
    contract: Contract,
    checked: BTreeSet<(String, String)>,
    faults: Vec<String>,
}

impl Platform {
    async fn send(&mut self, request: Request<Body>, route: &str) -> Value {
        let method = request.method().clone();
        let reply = self.gateway.send(request).await;
        for fault in self.contract.faults(&method, route, &reply) {
            self.faults
                .push(format!("{method} {route}: {fault}: {}", reply.body));
        }
        self.checked.insert((method.to_string(), route.to_owned()));
        serde_json::from_str(&reply.body).unwrap_or_default()
    }

    async fn get(&mut self, path: &str, route: &str) -> Value {
        let request = self.gateway.request(Method::GET, path, "ana");
        self.send(request, route).await
    }

    async fn post(&mut self, path: &str, body: &Value) -> Value {
        let mut request = self.gateway.request(Method::POST, path, "ana");
        *request.body_mut() = Body::from(body.to_string());
        self.send(request, path).await
    }

    async fn upload(&mut self) -> Value {
        let path = "/api/documents";
        let mut request = self.gateway.request(Method::POST, path, "ana");
        let form = format!("multipart/form-data; boundary={BOUNDARY}");
        let headers = request.headers_mut();
        headers.insert("content-type", form.parse().unwrap());
        *request.body_mut() = Body::from(format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
             \r\ntext\r\n--{BOUNDARY}--\r\n"
        ));
        self.send(request, path).await
    }
}

/// Budgets as an administrator sets them.
async fn administer(it: &mut Platform) {
    let rules = "/api/admin/budgets";
    let route = "/api/admin/budgets/{id}";
    let made = json!({
        "name": "more", "scope": "User", "names": ["nobody"], "per": "Month", "money": "2",
        "unknown_price": "Warn",
    });
    for (method, path, route, body) in [
        (Method::POST, rules, rules, made.clone()),
        (Method::POST, rules, rules, made),
        (
            Method::PUT,
            "/api/admin/budgets/more",
            route,
            json!({ "tokens": 9 }),
        ),
        (
            Method::PUT,
            "/api/admin/budgets/day",
            route,
            json!({ "tokens": 9 }),
        ),
        (Method::GET, rules, rules, Value::Null),
        (
            Method::GET,
            "/api/admin/keys",
            "/api/admin/keys",
            Value::Null,
        ),
        (
            Method::GET,
            "/api/admin/sessions",
            "/api/admin/sessions",
            Value::Null,
        ),
        (
            Method::DELETE,
            "/api/admin/sessions/nobodys",
            "/api/admin/sessions/{id}",
            Value::Null,
        ),
        (
            Method::DELETE,
            "/api/admin/budgets/more",
            route,
            Value::Null,
        ),
        (
            Method::DELETE,
            "/api/admin/budgets/more",
            route,
            Value::Null,
        ),
    ] {
        let mut request = it.gateway.request_in(method, path, "root", &["admins"]);
        *request.body_mut() = Body::from(body.to_string());
        it.send(request, route).await;
    }
}

fn one(thing: &Value, list: &str) -> (String, String) {
    let id = thing["id"].as_str().unwrap();
    (format!("/api/{list}/{id}"), format!("/api/{list}/{{id}}"))
}

#[tokio::test]
async fn answers_are_as_they_are_documented() {
    let (orchestrator, seen) = orchestrator::start().await;
    let server = model_server::start().await;
    let budgets = "budgets:\n  - {name: day, scope: User, per: Day, requests: 6, tokens: 100000, \
                   money: \"9\", unknownPrice: Warn}\n";
    let parts = Parts {
        orchestrator,
        model_server: server.uri(),
        budgets: format!("{PRICES}{budgets}"),
        ..Parts::default()
    };
    let Some((_database, gateway)) = Gateway::stored(parts).await else {
        return;
    };
    sign_in_as(&gateway, ANA, 300).await;
    let scoped = json!({ "name": "ci", "models": ["writer"], "scopes": ["documents:read"] });
    let scoped = key(&gateway, "ana", &[], &scoped).await;
    let mut it = Platform {
        gateway,
        contract: Contract::new(),
        checked: BTreeSet::new(),
        faults: Vec::new(),
    };
    it.get("/v1/models", "/v1/models").await;
    it.get("/v1/models/writer", "/v1/models/{id}").await;
    it.get("/v1/models/nobody", "/v1/models/{id}").await;
    let question = json!({
        "model": "writer", "messages": [{ "role": "user", "content": "¿Cuántos?" }],
    });
    let chat = "/v1/chat/completions";
    let answer = it.post(chat, &question).await;
    let run = answer["lotoai"]["run_id"].as_str().unwrap().to_owned();
    for (method, call) in [(Method::GET, "stream"), (Method::POST, "cancel")] {
        // It was not asked for as one that is come back to.
        let path = format!("{chat}/{run}/{call}");
        let request = it.gateway.request(method, &path, "ana");
        it.send(request, &format!("{chat}/{{id}}/{call}")).await;
    }
    // A response repeats what it was asked with, which the document leaves open.
    let mut asked = it.gateway.request(Method::POST, "/v1/responses", "ana");
    *asked.body_mut() = Body::from(json!({ "model": "writer", "input": "?" }).to_string());
    let given = it.gateway.send(asked).await.json();
    let path = format!("/v1/responses/{}", given["id"].as_str().unwrap());
    let (items, route) = (format!("{path}/input_items"), "/v1/responses/{id}");
    let sent = it.get(&items, "/v1/responses/{id}/input_items").await;
    assert_eq!(sent["data"][0]["role"], "user");
    for _ in ["there", "gone"] {
        let gone = it.gateway.request(Method::DELETE, &path, "ana");
        it.send(gone, route).await;
    }
    let vectors = json!({ "model": MODEL, "input": ["a", "b"] });
    it.post("/v1/embeddings", &vectors).await;
    let encoded = json!({ "model": MODEL, "input": "a", "encoding_format": "base64" });
    it.post("/v1/embeddings", &encoded).await;

    it.get("/api/conversations", "/api/conversations").await;
    let conversation = json!({ "id": answer["lotoai"]["conversation_id"] });
    let (path, route) = one(&conversation, "conversations");
    it.get(&path, &route).await;
    let (said, list) = (format!("{path}/messages"), format!("{route}/messages"));
    let said = it.get(&said, &list).await;
    assert_eq!(said["items"].as_array().unwrap().len(), 2, "{said}");
    let gone = it.gateway.request(Method::DELETE, &path, "ana");
    it.send(gone, &route).await;
    it.get(&path, &route).await;

    let approvals = "/api/approvals";
    let waiting = seen.approvals.add("ana", "", "send_mail");
    let listed = it.get(approvals, approvals).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    it.get("/api/approvals?state=open", approvals).await;
    let (path, route) = one(&json!({ "id": waiting.id }), "approvals");
    it.get(&path, &route).await;
    for _ in ["waiting", "decided"] {
        let mut decides = it.gateway.request(Method::POST, &path, "ana");
        *decides.body_mut() = Body::from(json!({ "decision": "approve" }).to_string());
        it.send(decides, &route).await;
    }

    let document = it.upload().await;
    it.upload().await;
    it.get("/api/documents", "/api/documents").await;
    it.get("/api/documents?limit=0", "/api/documents").await;
    let (path, route) = one(&document, "documents");
    it.get(&path, &route).await;
    let retry = it
        .gateway
        .request(Method::POST, &format!("{path}/retry"), "ana");
    it.send(retry, "/api/documents/{id}/retry").await;
    let gone = it.gateway.request(Method::DELETE, &path, "ana");
    it.send(gone, &route).await;

    let made = it.post("/api/keys", &json!({ "name": "another" })).await;
    it.get("/api/keys", "/api/keys").await;
    let (path, route) = one(&made, "keys");
    let gone = it.gateway.request(Method::DELETE, &path, "ana");
    it.send(gone, &route).await;
    let sessions = it.get("/api/sessions", "/api/sessions").await;
    let (path, route) = one(&sessions["items"][0], "sessions");
    let gone = it.gateway.request(Method::DELETE, &path, "ana");
    it.send(gone, &route).await;
    let others = it.gateway.request(Method::DELETE, "/api/sessions", "ana");
    it.send(others, "/api/sessions").await;

    crate::budget::ledger::fold(&it.gateway.state.store)
        .await
        .unwrap();
    let budgets = it.get("/api/budgets", "/api/budgets").await;
    assert_eq!(budgets["items"].as_array().unwrap().len(), 1);
    let usage = it.get("/api/usage", "/api/usage").await;
    assert_eq!(usage["items"].as_array().unwrap().len(), 2);
    administer(&mut it).await;
    let totals = "/api/usage/totals";
    let sums = it.get("/api/usage/totals?by=model", totals).await;
    assert_eq!(sums["items"].as_array().unwrap().len(), 2, "{sums}");
    it.get("/api/me", "/api/me").await;
    it.get("/api/openapi.json", "/api/openapi.json").await;
    // Refusals of both shapes: of a stranger, of a key, of a budget.
    for path in [chat, "/api/keys"] {
        let stranger = Request::builder().method(Method::POST).uri(path);
        it.send(stranger.body(Body::empty()).unwrap(), path).await;
        it.send(bearing(Method::POST, path, &scoped), path).await;
    }
    it.post(chat, &question).await;
    let refused = it.post(chat, &question).await;
    assert_eq!(refused["error"]["code"], "budget_exceeded", "{refused}");
    assert!(it.faults.is_empty(), "{:#?}", it.faults);
    assert!(it.checked.len() >= 21, "{}", it.checked.len());
}

#[test]
fn where_the_answer_of_a_first_request_is_found_is_documented_in_both_shapes() {
    let contract = Contract::new();
    let faults = |path: &str, media_type: &str, body: &Value| {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("content-type", media_type.parse().unwrap());
        let reply = Reply {
            status: axum::http::StatusCode::CONFLICT,
            headers,
            body: body.to_string(),
        };
        contract.faults(&Method::POST, path, &reply)
    };
    let id = uuid::Uuid::nil();
    for (answer, is_described) in [
        (json!({ "run_id": id, "conversation_id": id }), true),
        (json!({ "run_id": id }), false),
        (
            json!({ "run_id": id, "conversation_id": id, "text": "" }),
            false,
        ),
    ] {
        let status = axum::http::StatusCode::CONFLICT;
        let mut failure = Failure::new(status, "idempotency_answer_not_kept", "it is there");
        failure.details = Some(Box::new(("answer", answer.clone())));
        let openai = faults(
            "/v1/chat/completions",
            "application/json",
            &failure.openai(),
        );
        assert_eq!(openai.is_empty(), is_described, "{answer}: {openai:?}");
        let problem = faults(
            "/api/approvals/{id}",
            "application/problem+json",
            &failure.problem(None),
        );
        assert_eq!(problem.is_empty(), is_described, "{answer}: {problem:?}");
    }
}

#[test]
fn what_is_not_as_documented_is_found() {
    let contract = Contract::new();
    let me = |body: Value| {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        let reply = Reply {
            status: axum::http::StatusCode::OK,
            headers,
            body: body.to_string(),
        };
        contract.faults(&Method::GET, "/api/me", &reply)
    };
    let good = json!({ "subject": "s", "name": "n", "groups": [], "admin": false });
    assert_eq!(me(good.clone()), Vec::<String>::new());
    for (field, value) in [
        ("admin", json!("no")),
        ("groups", json!([1])),
        ("secret", json!(1)),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        assert_eq!(me(wrong).len(), 1, "{field}");
    }
    let mut less = good;
    less.as_object_mut().unwrap().remove("name");
    assert_eq!(me(less).len(), 1);
}
