use axum::Extension;
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
        .route("/run", get(|| async { (Extension(by_run()), "answer") }))
        .route("/v1/panic", get(panics))
        .route("/panic", get(panics));
    let response = instrument(router).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 65_536).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (Response::from_parts(parts, Body::empty()), text)
}

fn by_run() -> AnsweredBy {
    AnsweredBy {
        run_id: "r-1".to_owned(),
        model: "lotoai".to_owned(),
    }
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

#[test]
fn methods_that_anybody_thinks_of_are_one_series() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        for method in ["PATCH", "AAA1", "AAA2", "get"] {
            let asked = request("/nowhere").method(method);
            runtime.block_on(send(asked.body(Body::empty()).unwrap()));
        }
    });
    let text = recorder.handle().render();
    let counts: Vec<&str> = text.lines().filter(|it| it.contains("_count{")).collect();
    let other = counts.iter().find(|it| it.contains(r#"method="_OTHER""#));
    assert!(other.is_some_and(|it| it.ends_with(" 3")), "{text}");
    assert!(
        counts.iter().any(|it| it.contains(r#"method="PATCH""#)),
        "{text}"
    );
    assert_eq!(counts.len(), 2, "{text}");
}

/// The last line that is logged while a request is answered.
fn line_of(path: &str) -> serde_json::Value {
    let file = tempfile::tempfile().unwrap();
    let writer = std::sync::Arc::new(file.try_clone().unwrap());
    let logging = tracing_subscriber::fmt()
        .json()
        .with_writer(writer)
        .finish();
    // Of a single listener only the thread that comes first is asked.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    tracing::subscriber::with_default(logging, || {
        runtime.block_on(send(request(path).body(Body::empty()).unwrap()));
    });
    let (mut file, mut text) = (file, String::new());
    std::io::Seek::rewind(&mut file).unwrap();
    std::io::Read::read_to_string(&mut file, &mut text).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn the_line_of_a_request_names_the_run_that_answered_it() {
    let fields = |path| line_of(path)["fields"].clone();
    let run = fields("/run");
    assert_eq!(
        (run["run_id"].as_str(), run["model"].as_str()),
        (Some("r-1"), Some("lotoai")),
        "{run}"
    );
    // The control: what no run answered names none.
    let other = fields("/ok/x");
    assert_eq!(other["status"], 200);
    assert!(other.get("run_id").is_none(), "{other}");
}
