use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use lotoai_policy::Needs;

use super::support::{Gateway, Parts};
use crate::routes::table;

fn concrete(path: &str) -> String {
    path.replace("{id}", "019aab4e-0000-7000-8000-000000000000")
}

/// The guard against a route that somebody adds and forgets to protect.
#[tokio::test]
async fn every_route_but_the_public_ones_needs_a_caller() {
    let gateway = Gateway::start(Parts::default()).await;
    let mut guarded = 0;
    for route in table() {
        let path = concrete(route.path);
        let bare = Request::builder()
            .method(&route.method)
            .uri(&path)
            .body(Body::empty());
        let reply = gateway.send(bare.unwrap()).await;
        if route.needs == Needs::Nothing {
            assert_ne!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
            continue;
        }
        guarded += 1;
        assert_eq!(
            reply.status,
            StatusCode::UNAUTHORIZED,
            "{} {path}",
            route.method
        );
        assert!(
            reply.header("www-authenticate").starts_with("Bearer"),
            "{path}"
        );
        // An answer to HEAD has a head alone.
        if route.method != Method::HEAD {
            assert_eq!(reply.code(), "sign_in_required");
        }
        let shape = if path.starts_with("/v1") {
            "application/json"
        } else {
            "application/problem+json"
        };
        assert_eq!(reply.header("content-type"), shape);
        // The control: with a token the same request gets past the guard.
        let known = gateway.request(route.method.clone(), &path, "ana");
        assert_ne!(
            gateway.send(known).await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    // Said twice, so that a route does not become public by a slip.
    let public: Vec<_> = table()
        .into_iter()
        .filter(|route| route.needs == Needs::Nothing)
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_eq!(
        public,
        [
            "GET /auth/login",
            "GET /auth/callback",
            "POST /auth/logout",
            "POST /auth/back-channel-logout",
        ]
    );
    assert_eq!(guarded, table().len() - public.len());
}

#[rstest::rstest]
#[case("/v1/nothing")]
#[case("/v1")]
#[case("/api/documents/a/b")]
#[case("/auth/nothing")]
#[tokio::test]
async fn unknown_api_paths_need_a_caller_and_are_not_the_web_client(#[case] path: &str) {
    let gateway = Gateway::start(Parts::default()).await;
    let bare = Request::builder().uri(path).body(Body::empty()).unwrap();
    assert_eq!(gateway.send(bare).await.status, StatusCode::UNAUTHORIZED);
    let reply = gateway.get(path, "ana").await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::NOT_FOUND, "not_found")
    );
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = gateway
        .send(gateway.request(Method::PUT, "/v1/models", "ana"))
        .await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(reply.code(), "method_not_allowed");
    assert!(reply.header("allow").contains("GET"));
}

#[tokio::test]
async fn a_bad_query_is_a_problem() {
    let gateway = Gateway::start(Parts::default()).await;
    for path in [
        "/api/documents?limit=0",
        "/api/conversations?limit=x",
        "/api/documents?cursor=!",
    ] {
        let reply = gateway.get(path, "ana").await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(reply.json()["param"].is_string());
    }
    for (path, code) in [
        ("/api/documents?limit=1&limit=2", "invalid_value"),
        ("/api/documents?colour=blue", "unknown_parameter"),
        ("/api/conversations?knowledge_base=hr", "unknown_parameter"),
    ] {
        let reply = gateway.get(path, "ana").await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::BAD_REQUEST, code)
        );
        assert!(reply.json()["param"].is_string(), "{path}");
    }
}

#[rstest::rstest]
#[case("/", "web", "no-cache")]
#[case("/c/019aab4e-0000-7000-8000-000000000000", "web", "no-cache")]
#[case("/apiary", "web", "no-cache")]
#[case("/assets/app-1a2b.js", "x", "public, max-age=31536000, immutable")]
#[tokio::test]
async fn the_web_client_is_everybodys(#[case] path: &str, #[case] text: &str, #[case] cache: &str) {
    let gateway = Gateway::start(Parts::default()).await;
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let reply = gateway.send(request).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.body.contains(text));
    assert_eq!(reply.header("cache-control"), cache);
    assert!(
        reply
            .header("content-security-policy")
            .starts_with("default-src 'self'")
    );
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
}

#[rstest::rstest]
#[case("/assets/gone.js", Method::GET, StatusCode::NOT_FOUND)]
#[case("/assets/../../etc/passwd", Method::GET, StatusCode::NOT_FOUND)]
#[case("/%2e%2e/%2e%2e/etc/passwd", Method::GET, StatusCode::OK)]
#[case("/", Method::POST, StatusCode::METHOD_NOT_ALLOWED)]
#[tokio::test]
async fn nothing_else_is_served(
    #[case] path: &str,
    #[case] method: Method,
    #[case] status: StatusCode,
) {
    let gateway = Gateway::start(Parts::default()).await;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap();
    let reply = gateway.send(request).await;
    assert_eq!(reply.status, status);
    // At most the page itself.
    assert!(!reply.body.contains("root:"));
}

#[tokio::test]
async fn api_answers_are_not_cached() {
    let gateway = Gateway::start(Parts::default()).await;
    assert_eq!(
        gateway.get("/api/me", "ana").await.header("cache-control"),
        "no-store"
    );
}

#[rstest::rstest]
#[case(Method::GET, "/api/documents")]
#[case(Method::GET, "/api/conversations")]
#[case(
    Method::DELETE,
    "/api/conversations/019aab4e-0000-7000-8000-000000000000"
)]
#[tokio::test]
async fn without_the_database_the_answer_says_so(#[case] method: Method, #[case] path: &str) {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = gateway.send(gateway.request(method, path, "ana")).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.code(), "storage_unavailable");
}
