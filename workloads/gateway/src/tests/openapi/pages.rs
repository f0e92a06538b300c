//! The document and its page over HTTP.

use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::document;
use crate::tests::support::{Gateway, Parts, Reply};

async fn page(gateway: &Gateway, path: &str, accepted: Option<&str>) -> Reply {
    let mut request = gateway.request(Method::GET, path, "ana");
    if let Some(accepted) = accepted {
        let accepted = accepted.parse().unwrap();
        request.headers_mut().insert("accept-language", accepted);
    }
    gateway.send(request).await
}

#[tokio::test]
async fn the_document_is_served_to_whoever_is_known() {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = gateway.get("/api/openapi.json", "ana").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), "application/json");
    let served: Value = reply.json();
    assert_eq!(served, document());
}

#[rstest::rstest]
#[case("/api/docs", None, "en")]
#[case("/api/docs", Some("es-ES,es;q=0.9,en;q=0.5"), "es")]
#[case("/api/docs", Some("fr"), "en")]
#[case("/api/docs?lang=en", Some("es"), "en")]
#[case("/api/docs?lang=es", Some("en"), "es")]
#[tokio::test]
async fn the_page_speaks_the_language_of_its_reader(
    #[case] path: &str,
    #[case] accepted: Option<&str>,
    #[case] language: &str,
) {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = page(&gateway, path, accepted).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert!(reply.body.contains(&format!("<html lang=\"{language}\">")));
}

#[tokio::test]
async fn the_page_keeps_to_the_policy_of_all_pages() {
    let gateway = Gateway::start(Parts::default()).await;
    let policy = page(&gateway, "/", None).await;
    let policy = policy.header("content-security-policy");
    assert!(!policy.contains("unsafe"), "{policy}");
    for (path, media_type) in [
        ("/api/docs", "text/html; charset=utf-8"),
        ("/api/docs/style.css", "text/css; charset=utf-8"),
    ] {
        let reply = page(&gateway, path, None).await;
        assert_eq!(reply.header("content-type"), media_type);
        assert_eq!(reply.header("content-security-policy"), policy);
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
    // What the page names is what is served.
    let html = page(&gateway, "/api/docs", None).await.body;
    assert!(html.contains("href=\"/api/docs/style.css\""));
}

#[rstest::rstest]
#[case("/api/docs?lang=fr", "invalid_value", "lang")]
#[case("/api/docs?lang=", "invalid_value", "lang")]
#[case("/api/docs?language=es", "unknown_parameter", "language")]
#[tokio::test]
async fn a_language_that_there_is_not_is_refused(
    #[case] path: &str,
    #[case] code: &str,
    #[case] param: &str,
) {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = page(&gateway, path, None).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.code(), code);
    assert_eq!(reply.json()["param"], param);
}
