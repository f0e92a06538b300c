//! Who asks.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lotoai_policy::Scope;
use serde_json::{Value, json};

use super::platform::{PROBE, Platform, Proof};
use crate::identity::token::now;
use crate::tests::api_keys::{every_scope, key, make};
use crate::tests::browser::{ANA, sign_in_as};
use crate::tests::keys::{Signer, claims};
use crate::tests::support::PUBLIC_URL;

/// Callers that nobody should be.
pub(super) async fn refused(platform: &Platform) -> Vec<(&'static str, Proof)> {
    let gateway = &platform.gateway;
    let signer = &gateway.signer;
    let sign = |field: &str, value: Value| {
        let mut claims = claims("ana");
        claims["groups"] = json!(["hr", "admins"]);
        claims[field] = value;
        Proof::Bearer(signer.sign(&claims))
    };
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = json!({ "alg": "none", "kid": "key-1" });
    let confused = signer.confused(&claims("ana")).into_iter();
    let confused = confused.map(|(form, token)| (form, Proof::Bearer(token)));
    let deleted = make(gateway, "ana", &["hr"], &json!({ "name": "deleted" })).await;
    let deleted = deleted.json();
    let path = format!("/api/keys/{}", deleted["id"].as_str().unwrap());
    let gone = gateway.request(Method::DELETE, &path, "ana");
    assert_eq!(gateway.send(gone).await.status, StatusCode::NO_CONTENT);
    let expired = key(gateway, "ana", &["hr"], &json!({ "name": "expired" })).await;
    sqlx::query("update api_keys set expires_at = now() where name = 'expired'")
        .execute(&platform.pool)
        .await
        .unwrap();
    let cookie = sign_in_as(gateway, ANA, 300).await;
    let out = Request::builder()
        .method(Method::POST)
        .uri("/auth/logout")
        .header("cookie", &cookie)
        .header("origin", PUBLIC_URL)
        .body(Body::empty())
        .unwrap();
    assert_eq!(gateway.send(out).await.status, StatusCode::NO_CONTENT);
    let mut refused = vec![
        ("none", Proof::Nothing),
        ("expired", sign("exp", json!(now() - 60))),
        ("not yet", sign("nbf", json!(now() + 60))),
        ("wrong audience", sign("aud", json!("account"))),
        (
            "wrong issuer",
            sign("iss", json!("https://evil.example.org")),
        ),
        (
            "alg none",
            Proof::Bearer(format!("{}.{}.", part(&none), part(&claims("ana")))),
        ),
        (
            "another key of that name",
            Proof::Bearer(Signer::rsa("key-1").token("ana", &["admins"])),
        ),
        ("ID token", sign("typ", json!("ID"))),
        ("logout token", sign("events", json!({}))),
        (
            "deleted API key",
            Proof::Bearer(deleted["key"].as_str().unwrap().to_owned()),
        ),
        ("expired API key", Proof::Bearer(expired)),
        ("API key copied badly", Proof::Bearer("loto_0".to_owned())),
        ("ended session", Proof::Cookie(cookie, Some(PUBLIC_URL))),
    ];
    refused.extend(confused);
    refused
}

/// Everybody who is known.
pub(super) async fn known(platform: &Platform) -> Vec<(&'static str, Proof)> {
    let gateway = &platform.gateway;
    let token =
        |subject: &str, groups: &[&str]| Proof::Bearer(gateway.signer.token(subject, groups));
    let every = json!({ "name": "every", "scopes": every_scope() });
    let admin = json!({ "name": "admin", "scopes": Scope::ALL.map(Scope::name) });
    // A key needs some scope: one that no route asks for is as good as none.
    let none = key(gateway, "ana", &["hr"], &json!({ "name": "none" })).await;
    sqlx::query("update api_keys set scopes = '{}' where name = 'none'")
        .execute(&platform.pool)
        .await
        .unwrap();
    let session = sign_in_as(gateway, ANA, 300).await;
    vec![
        ("owner", token("ana", &["hr"])),
        (
            "owner's session",
            Proof::Cookie(session.clone(), Some(PUBLIC_URL)),
        ),
        (
            "owner's session, another site",
            Proof::Cookie(session, Some("https://evil.example.org")),
        ),
        ("other user", token("eve", &[])),
        ("other group", token("eve", &["sales"])),
        ("same group", token("bo", &["hr"])),
        ("admin", token("root", &["admins"])),
        ("API key without scope", Proof::Bearer(none)),
        (
            "API key for chat",
            Proof::Bearer(key(gateway, "ana", &["hr"], &json!({ "name": "chat" })).await),
        ),
        (
            "API key with every scope",
            Proof::Bearer(key(gateway, "ana", &["hr"], &every).await),
        ),
        (
            "another's API key with every scope",
            Proof::Bearer(key(gateway, "eve", &["sales"], &every).await),
        ),
        (
            "admin's API key without that scope",
            Proof::Bearer(key(gateway, "root", &["admins"], &every).await),
        ),
        (
            "admin's API key with that scope",
            Proof::Bearer(key(gateway, "root", &["admins"], &admin).await),
        ),
        ("operator", Proof::Bearer(PROBE.to_owned())),
    ]
}
