//! Who was taken for somebody else.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};

use crate::policy::Needs;
use crate::routes::table;
use crate::tests::browser::{ANA, sign_in_as, with_cookies};
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
