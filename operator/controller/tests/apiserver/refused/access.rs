//! Who may sign in, what they may spend, credentials, and where vectors are kept.

use serde_json::{Value, json};

use super::Broken;

fn issuer(fields: &Value) -> Value {
    let mut external = json!({
        "issuerURL": "https://login.example.com", "clientID": "app", "clientSecretName": "sign-in",
    });
    let all = external.as_object_mut().unwrap();
    all.extend(fields.as_object().unwrap().clone());
    json!({ "identity": { "external": external } })
}

fn budget(fields: &Value) -> Value {
    let mut budget = json!({ "name": "a", "scope": "User", "per": "Month" });
    let all = budget.as_object_mut().unwrap();
    all.extend(fields.as_object().unwrap().clone());
    json!({ "gateway": { "budgets": [budget] } })
}

fn rotate(name: &str, request: &str) -> Value {
    json!({ "credentials": { "rotate": { name: request } } })
}

fn given(credentials: &Value) -> Value {
    json!({ "credentials": { "given": credentials } })
}

fn vectors(store: &Value) -> Value {
    json!({ "rag": { "vectorStore": store } })
}

pub(super) fn broken() -> Vec<Broken> {
    let qdrant = json!({ "url": "https://q.example:6334", "apiKeySecretName": "key" });
    let many: Value = (0..41).map(|n| (format!("c-{n}"), json!("1"))).collect();
    let many_given: Value = (0..41)
        .map(|n| (format!("c-{n}"), json!({ "name": "vault" })))
        .collect();
    vec![
        (
            "sessions of weeks",
            json!({ "gateway": { "sessions": { "maxSeconds": 604_800 } } }),
            "spec.gateway.sessions.maxSeconds",
        ),
        (
            "sessions that are left alone for longer than they last",
            json!({ "gateway": { "sessions": { "maxSeconds": 600 } } }),
            "idleSeconds may not be more than maxSeconds",
        ),
        (
            "an issuer without TLS",
            issuer(&json!({ "issuerURL": "http://login.example.com" })),
            "issuerURL must be https://",
        ),
        (
            "a client's Secret of another namespace",
            issuer(&json!({ "clientSecretName": "other/sign-in" })),
            "clientSecretName",
        ),
        (
            "people of two places",
            {
                let mut both = issuer(&json!({}));
                both["identity"]["firstUser"] = json!({});
                both
            },
            "remove one of them",
        ),
        ("a budget of nothing", budget(&json!({})), "at least one of"),
        (
            "money without prices",
            budget(&json!({ "money": "1" })),
            "needs gateway.prices",
        ),
        (
            "a budget for an unknown time",
            budget(&json!({ "requests": 1, "per": "Year" })),
            "supported values",
        ),
        (
            "a request with a space",
            rotate("all", "next week"),
            "must be a short text of letters",
        ),
        ("an empty request", rotate("all", ""), "credentials.rotate"),
        (
            "a request from a template",
            rotate("all", "{{ .Values.date }}"),
            "must be a short text of letters",
        ),
        (
            "too many requests",
            json!({ "credentials": { "rotate": many } }),
            "credentials.rotate",
        ),
        (
            "a credential that is given and made anew",
            json!({ "credentials": {
                "given": { "gateway-postgres": { "name": "vault" } },
                "rotate": { "gateway-postgres": "1" },
            } }),
            "remove it from one of them",
        ),
        (
            "a given Secret of another namespace",
            given(&json!({ "gateway-postgres": { "name": "other/vault" } })),
            "credentials.given",
        ),
        (
            "a given credential without a Secret",
            given(&json!({ "gateway-postgres": {} })),
            "credentials.given",
        ),
        (
            "a password instead of a Secret",
            given(&json!({ "gateway-postgres": "hunter2" })),
            "credentials.given",
        ),
        (
            "too many given credentials",
            given(&many_given),
            "credentials.given",
        ),
        (
            "vectors in two places",
            vectors(&json!({ "managed": {}, "external": qdrant })),
            "remove one of them",
        ),
        (
            "a Qdrant by another protocol",
            vectors(&json!({ "external": { "url": "grpc://q", "apiKeySecretName": "key" } })),
            "url must be http:// or https://",
        ),
        (
            "a delegated database with a volume of ours",
            json!({ "data": { "postgres": { "delegated": {}, "storage": {} } } }),
            "spec.data.postgres",
        ),
    ]
}
