//! What API keys may do: what they were made for, and never more than their owners.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::api_keys::{ask, bearing, every_scope, get, key};
use super::keys::claims;
use super::support::Gateway;
use crate::identity::token::now;

#[tokio::test]
async fn a_key_does_what_it_was_made_for_and_no_more() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let request = json!({ "name": "writer", "models": ["writer"] });
    let writer = key(&gateway, "ana", &[], &request).await;
    let names: Vec<_> = get(&gateway, "/v1/models", &writer).await.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].clone())
        .collect();
    assert_eq!(names, ["writer"]);
    let reply = ask(&gateway, &writer, json!({ "model": "writer" })).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    // A model that there is looks like one that there is not.
    let there = ask(&gateway, &writer, json!({})).await;
    let not = ask(&gateway, &writer, json!({ "model": "nobody" })).await;
    assert_eq!(there.status, StatusCode::NOT_FOUND);
    assert_eq!((there.status, &there.body), (not.status, &not.body));
    let there = get(&gateway, "/v1/models/lotoai", &writer).await;
    let not = get(&gateway, "/v1/models/nobody", &writer).await;
    assert_eq!((there.status, &there.body), (not.status, &not.body));

    let reply = get(&gateway, "/api/documents", &writer).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::FORBIDDEN, "key_scope_missing")
    );
    assert!(reply.body.contains("documents:read"), "{reply:?}");
    let reader = json!({ "name": "reader", "scopes": ["documents:read"] });
    let reader = key(&gateway, "ana", &[], &reader).await;
    assert_eq!(
        get(&gateway, "/api/documents", &reader).await.status,
        StatusCode::OK
    );
    assert_eq!(
        ask(&gateway, &reader, json!({})).await.code(),
        "key_scope_missing"
    );
    // No key makes keys, sees them or ends sessions.
    for (method, path) in [
        (Method::GET, "/api/keys"),
        (Method::POST, "/api/keys"),
        (Method::DELETE, "/api/keys/0011223344556677"),
        (Method::GET, "/api/sessions"),
    ] {
        let reply = gateway.send(bearing(method, path, &reader)).await;
        assert_eq!(reply.code(), "person_required", "{path}");
    }
}

#[tokio::test]
async fn a_key_administers_only_where_its_scope_says_so() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let root = ["admins", "it"];
    let plain = json!({ "name": "plain", "scopes": every_scope() });
    let plain = key(&gateway, "root", &root, &plain).await;
    let both = json!({ "name": "both", "scopes": ["chat", "admin"] });
    let both = key(&gateway, "root", &root, &both).await;
    let all = "/api/budgets?all=true";
    let reply = get(&gateway, all, &plain).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::FORBIDDEN, "admins_only")
    );
    let me = get(&gateway, "/api/me", &plain).await.json();
    assert_eq!(
        (&me["groups"], &me["admin"]),
        (&json!(["it"]), &json!(false))
    );
    assert_eq!(
        get(&gateway, all, &both).await.status,
        StatusCode::OK,
        "the control"
    );
    let me = get(&gateway, "/api/me", &both).await.json();
    assert_eq!(me["admin"], true);
    // The scope opens no other one.
    assert_eq!(
        get(&gateway, "/api/documents", &both).await.code(),
        "key_scope_missing"
    );

    // A key from before there was that scope was in the group by name.
    let before = "update api_keys set groups = '{admins,it}' where name = 'plain'";
    let done = sqlx::query(before).execute(&server.pool()).await;
    assert_eq!(done.unwrap().rows_affected(), 1);
    let replica = gateway.replica(&server).await;
    assert_eq!(get(&replica, all, &plain).await.code(), "admins_only");
    assert_eq!(
        get(&replica, all, &both).await.status,
        StatusCode::OK,
        "the control"
    );
}

#[tokio::test]
async fn a_key_without_the_scope_does_not_go_on_with_a_conversation() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let chat = key(&gateway, "ana", &[], &json!({ "name": "chat" })).await;
    let both = json!({ "name": "both", "scopes": ["chat", "conversations:read"] });
    let both = key(&gateway, "ana", &[], &both).await;
    let stored = ask(&gateway, &chat, json!({ "store": true })).await.json();
    let id = &stored["lotoai"]["conversation_id"];
    assert!(id.is_string(), "a new one may be stored");
    let more = json!({ "store": true, "metadata": { "conversation_id": id } });
    let reply = ask(&gateway, &chat, more.clone()).await;
    assert_eq!(reply.code(), "conversation_not_found");
    assert_eq!(ask(&gateway, &both, more).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_loses_what_its_owner_loses() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let request = json!({
        "name": "both", "groups": ["admins", "hr"], "scopes": ["chat", "admin"],
    });
    let text = key(&gateway, "ana", &["hr", "staff", "admins"], &request).await;
    let groups = |gateway: &Gateway| {
        let request = bearing(Method::GET, "/api/me", &text);
        let router = gateway.router.clone();
        async move {
            use tower::ServiceExt as _;
            let body = router.oneshot(request).await.unwrap().into_body();
            let body = axum::body::to_bytes(body, 10_000).await.unwrap();
            let me: Value = serde_json::from_slice(&body).unwrap();
            let mut groups: Vec<String> = serde_json::from_value(me["groups"].clone()).unwrap();
            groups.sort();
            groups
        }
    };
    assert_eq!(groups(&gateway).await, ["admins", "hr"]);
    // The next token of the owner says less. It is newer by a second.
    let mut claims = claims("ana");
    claims["iat"] = json!(now() + 1);
    claims["groups"] = json!(["staff", "hr"]);
    let token = gateway.signer.sign(&claims);
    let reply = get(&gateway, "/api/me", &token).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    gateway.settle().await;
    // Another replica, which did not hear it and has believed nothing yet.
    let replica = gateway.replica(&server).await;
    assert_eq!(groups(&replica).await, ["hr"], "and never \"staff\"");
    // An older token does not give it back.
    claims["iat"] = json!(now() - 100);
    claims["groups"] = json!(["admins"]);
    let older = gateway.signer.sign(&claims);
    get(&gateway, "/api/me", &older).await;
    replica.state.verifier.jwks().for_sign_in().await.unwrap();
    let older = replica.state.verifier.verify(&older).await;
    replica.state.key_ring.hear(&older.unwrap());
    replica.settle().await;
    let third = gateway.replica(&server).await;
    assert_eq!(groups(&third).await, ["hr"]);
}
