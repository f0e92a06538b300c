use rstest::rstest;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

async fn text(response: Response) -> (Response, serde_json::Value) {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 65_536).await.unwrap();
    (
        Response::from_parts(parts, axum::body::Body::empty()),
        serde_json::from_slice(&body).unwrap(),
    )
}

fn error() -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        "wait a little",
    )
    .with_param("model")
    .with_retry_after(7)
}

#[tokio::test]
async fn openai_shape() {
    let (response, body) = text(error().openai()).await;
    assert_eq!(
        body,
        json!({ "error": {
            "message": "wait a little", "type": "rate_limit_error", "param": "model",
            "code": "rate_limited",
        }})
    );
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(response.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn problem_shape() {
    let (response, body) = text(error().problem()).await;
    assert_eq!(
        body,
        json!({
            "type": "about:blank", "title": "Too Many Requests", "status": 429,
            "detail": "wait a little", "code": "rate_limited", "request_id": null, "param": "model",
        })
    );
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
}

#[rstest]
#[case("/v1/models", Shape::OpenAi)]
#[case("/v1", Shape::OpenAi)]
#[case("/v10/models", Shape::Problem)]
#[case("/api/v1/x", Shape::Problem)]
fn the_shape_follows_the_path(#[case] path: &str, #[case] shape: Shape) {
    assert_eq!(Shape::of_path(path), shape);
}

#[rstest]
#[case(400, "invalid_request_error")]
#[case(401, "authentication_error")]
#[case(403, "permission_error")]
#[case(404, "invalid_request_error")]
#[case(503, "server_error")]
fn the_openai_type_follows_the_status(#[case] status: u16, #[case] kind: &str) {
    assert_eq!(openai_type(StatusCode::from_u16(status).unwrap()), kind);
}

async fn read(body: Vec<u8>, max: usize) -> Result<Bytes, BodyError> {
    let server = MockServer::start().await;
    let response = ResponseTemplate::new(200).set_body_bytes(body);
    Mock::given(any())
        .respond_with(response)
        .mount(&server)
        .await;
    read_body_capped(reqwest::get(server.uri()).await.unwrap(), max).await
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_and_no_further() {
    assert_eq!(read(vec![1; 100], 100).await.unwrap().len(), 100);
    let error = read(vec![1; 101], 100).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer of 127.0.0.1 is larger than 100 bytes"
    );
}

#[tokio::test]
async fn a_body_without_an_announced_length_is_limited_too() {
    use axum::routing::get;
    let endless = || async {
        let chunks = futures::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1024]))
        });
        axum::body::Body::from_stream(chunks)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/", get(endless));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let error = read_body_capped(reqwest::get(base).await.unwrap(), 10_000)
        .await
        .unwrap_err();
    assert!(
        matches!(error, BodyError::TooLarge { max: 10_000, .. }),
        "{error}"
    );
    server.abort();
}
