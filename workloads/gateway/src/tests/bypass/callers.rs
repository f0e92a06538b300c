//! Who was taken for somebody else.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use lotoai_policy::Needs;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::identity::token::now;
use crate::routes::table;
use crate::tests::api_keys::{bearing, key};
use crate::tests::browser::{ANA, Person, me, sign_in_as, token_answer, tokens, with_cookies};
use crate::tests::keys::claims;
use crate::tests::support::{Gateway, PUBLIC_URL, Parts};

/// What the request says of its host, and how it spells its path, decides nothing.
#[tokio::test]
async fn cve_2026_48710_host_and_spelling_of_a_path_open_nothing() {
    let gateway = Gateway::start(Parts::default()).await;
    let hosts = [
        "ai.example.org?/auth/login",
        "x/auth/login#",
        "localhost",
        "ai.example.org/auth/login",
    ];
    let paths = [
        "/api/me",
        "//api/me",
        "/api//me",
        "/api/me/",
        "/API/me",
        "/api%2fme",
        "/%61pi/me",
        "/api/me;/auth/login",
        "/api/me?/auth/login",
        "/auth/login/../../api/me",
        "/auth/login%2f..%2f..%2fapi%2fme",
        "/auth/../api/me",
        "/auth/login/",
        "/./api/me",
        "http://ai.example.org/api/me",
        "http://x/auth/login/../../api/me",
        "/api/me/configs",
        "/api/me.json",
    ];
    for host in hosts {
        for path in paths {
            for header in [
                "host",
                "x-forwarded-host",
                "x-original-url",
                "x-rewrite-url",
            ] {
                let request = Request::builder().uri(path).header(header, host);
                let reply = gateway.send(request.body(Body::empty()).unwrap()).await;
                // The web client's page is everybody's; nothing else is.
                let page = reply.status == StatusCode::OK && reply.body == "<title>web</title>";
                assert!(
                    page || reply.status.is_client_error(),
                    "{path} with {header}: {host}: {reply:?}"
                );
            }
        }
    }
    let known = gateway.request(Method::GET, "/api/me", "ana");
    assert_eq!(
        gateway.send(known).await.json()["subject"],
        "ana",
        "the control"
    );
    // The method is not taken from elsewhere either.
    let request = Request::builder()
        .uri("/api/conversations")
        .header("x-http-method-override", "OPTIONS")
        .body(Body::empty());
    assert_eq!(
        gateway.send(request.unwrap()).await.status,
        StatusCode::UNAUTHORIZED
    );
}

/// Verdicts are kept by the whole token: people whose tokens begin alike are different people.
#[tokio::test]
async fn cve_2026_35030_tokens_that_begin_alike_belong_to_different_people() {
    let gateway = Gateway::start(Parts::default()).await;
    for subject in ["ana", "bo", "ana"] {
        let reply = gateway.get("/api/me", subject).await;
        assert_eq!(reply.json()["subject"], subject);
    }
    let (one, two) = (
        gateway.signer.token("ana", &[]),
        gateway.signer.token("bo", &[]),
    );
    assert_eq!(one[..40], two[..40]);
}

/// A cookie is worth nothing after its sign-out, whoever kept it.
#[tokio::test]
async fn cve_2026_12772_a_cookie_is_dead_after_its_sign_out() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let cookie = sign_in_as(&gateway, ANA, 300).await;
    let other = sign_in_as(&gateway, ANA, 300).await;
    let ours = Some(PUBLIC_URL);
    let reply = with_cookies(&gateway, Method::POST, "/auth/logout", &cookie, ours).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    for route in table() {
        if route.needs == Needs::Nothing {
            continue;
        }
        let reply = with_cookies(&gateway, route.method, route.path, &cookie, ours).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{}", route.path);
    }
    let reply = with_cookies(&gateway, Method::GET, "/api/me", &other, None).await;
    assert_eq!(reply.status, StatusCode::OK, "the control");
}

/// Who lost a role has lost it in the session, when that is renewed, and in the keys.
#[tokio::test]
async fn cve_2026_12772_a_role_that_was_lost_goes_from_sessions_and_keys() {
    const ALL: &str = "/api/budgets?all=true";
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let admin = Person {
        groups: &["admins"],
        ..ANA
    };
    // One whose token has to be renewed at once, and one whose token still holds.
    let old = sign_in_as(&gateway, admin, 300).await;
    let renewed = sign_in_as(&gateway, admin, 10).await;
    let request = json!({ "name": "k", "scopes": ["chat", "admin"], "groups": ["admins"] });
    let text = key(&gateway, "ana", &["admins"], &request).await;
    let reply = gateway.send(bearing(Method::GET, ALL, &text)).await;
    assert_eq!(reply.status, StatusCode::OK, "the control of the key");
    let reply = with_cookies(&gateway, Method::GET, ALL, &old, None).await;
    assert_eq!(reply.status, StatusCode::OK, "the control of the session");

    let without = Person { groups: &[], ..ANA };
    let answer = tokens(&gateway, without, 300, None);
    let answer = ResponseTemplate::new(200).set_body_json(answer);
    token_answer(&gateway, "refresh_token", answer).await;
    assert_eq!(me(&gateway, &renewed).await.json()["admin"], false);
    let reply = with_cookies(&gateway, Method::GET, ALL, &renewed, None).await;
    assert_eq!(reply.code(), "admins_only");
    gateway.settle().await;

    // A newer token of hers says the same of her keys, at every replica that reads them anew.
    let mut claims = claims("ana");
    claims["iat"] = json!(now() + 1);
    claims["groups"] = json!([]);
    let newer = gateway.signer.sign(&claims);
    let reply = gateway.send(bearing(Method::GET, "/api/me", &newer)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    gateway.settle().await;
    let replica = gateway.replica(&server).await;
    let reply = replica.send(bearing(Method::GET, ALL, &text)).await;
    assert_eq!(reply.code(), "admins_only");
    let reply = replica.send(bearing(Method::GET, "/api/me", &text)).await;
    assert_eq!(reply.status, StatusCode::OK, "the key itself goes on");
}
