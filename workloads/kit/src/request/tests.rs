use axum::body::Body;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusBuilder;
use tower::ServiceExt;

use super::*;

async fn send(request: http::Request<Body>) -> (Response, String) {
    let router = Router::new()
        .route(
            "/ok/{name}",
            get(|| async { current_id().unwrap_or_default() }),
        )
        .route(
            "/problem",
            get(|| async { ApiError::new(StatusCode::NOT_FOUND, "not_found", "there is none") }),
        )
        .route("/v1/panic", get(panics))
        .route("/panic", get(panics));
    let response = instrument(router).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 65_536).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (Response::from_parts(parts, Body::empty()), text)
}

async fn panics() -> &'static str {
    if std::hint::black_box(true) {
        panic!("secret text");
    }
    ""
}

fn request(path: &str) -> http::request::Builder {
    http::Request::get(path)
}

#[tokio::test]
async fn every_answer_has_an_id_that_the_handler_sees() {
    let (response, body) = send(request("/ok/x").body(Body::empty()).unwrap()).await;
    let id = response.headers()[&REQUEST_ID].to_str().unwrap();
    assert_eq!(id.len(), 36);
    assert_eq!(body, id);
}

#[tokio::test]
async fn a_plain_id_from_outside_is_kept_and_a_strange_one_is_replaced() {
    let long = "x".repeat(129);
    for (given, kept) in [
        ("abc-1.2_3:4", true),
        ("a b", false),
        (long.as_str(), false),
    ] {
        let request = request("/ok/x")
            .header(REQUEST_ID, given)
            .body(Body::empty())
            .unwrap();
        let (_, body) = send(request).await;
        assert_eq!(body == given, kept, "{given}");
    }
}

#[tokio::test]
async fn a_problem_carries_the_id() {
    let request = request("/problem")
        .header(REQUEST_ID, "id-1")
        .body(Body::empty())
        .unwrap();
    let (response, body) = send(request).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(body.contains(r#""request_id":"id-1""#), "{body}");
}

#[tokio::test]
async fn a_panic_is_a_500_in_the_shape_of_the_api_and_tells_nothing() {
    let (response, body) = send(request("/v1/panic").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        body.contains(r#""code":"internal_error""#) && body.starts_with(r#"{"error""#),
        "{body}"
    );
    assert!(!body.contains("secret"), "{body}");
    let (_, body) = send(request("/panic").body(Body::empty()).unwrap()).await;
    assert!(
        body.contains(r#""title":"Internal Server Error""#),
        "{body}"
    );
    assert!(!body.contains("secret"), "{body}");
}

#[test]
fn requests_are_measured_by_route_not_by_path() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(send(request("/ok/some-id").body(Body::empty()).unwrap()));
        runtime.block_on(send(request("/nowhere").body(Body::empty()).unwrap()));
    });
    let text = recorder.handle().render();
    assert!(text.contains(r#"route="/ok/{name}""#), "{text}");
    assert!(text.contains(r#"route="unmatched""#), "{text}");
    assert!(!text.contains("some-id"), "{text}");
}
