use axum::body::Body;
use rstest::rstest;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    model: String,
    messages: Vec<Turn>,
    #[serde(default)]
    limit: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    role: String,
}

async fn post(
    path: &str,
    media_type: &str,
    body: &[u8],
) -> Result<Limited<Question, 200>, ApiError> {
    let request = Request::post(path)
        .header("content-type", media_type)
        .body(Body::from(body.to_vec()))
        .unwrap();
    Limited::from_request(request, &()).await
}

#[tokio::test]
async fn a_good_body_is_read() {
    let body = br#"{"model":"m","messages":[{"role":"user"}],"limit":3} "#;
    let Limited(question) = post("/v1/x", "application/json; charset=utf-8", body)
        .await
        .unwrap();
    assert_eq!((question.model.as_str(), question.limit), ("m", 3));
    assert_eq!(question.messages[0].role, "user");
}

#[rstest]
#[case::not_json(b"{", "invalid_json", None)]
#[case::empty(b"", "invalid_json", None)]
#[case::trailing(br#"{"model":"m","messages":[]} x"#, "invalid_json", None)]
#[case::bad_utf8(b"{\"model\":\"\xff\",\"messages\":[]}", "invalid_json", None)]
#[case::not_an_object(b"\"text\"", "invalid_field", None)]
#[case::an_array(b"[1]", "invalid_field", Some("[0]"))]
#[case::missing(br#"{"messages":[]}"#, "invalid_field", Some("model"))]
#[case::missing_below(
    br#"{"model":"m","messages":[{}]}"#,
    "invalid_field",
    Some("messages[0].role")
)]
#[case::unknown(br#"{"model":"m","messages":[],"x":1}"#, "invalid_field", Some("x"))]
#[case::unknown_below(
    br#"{"model":"m","messages":[{"role":"u","y":1}]}"#,
    "invalid_field",
    Some("messages[0].y")
)]
#[case::wrong_type(br#"{"model":7,"messages":[]}"#, "invalid_field", Some("model"))]
#[case::wrong_type_below(
    br#"{"model":"m","messages":[{"role":null}]}"#,
    "invalid_field",
    Some("messages[0].role")
)]
#[case::out_of_range(
    br#"{"model":"m","messages":[],"limit":256}"#,
    "invalid_field",
    Some("limit")
)]
#[tokio::test]
async fn a_bad_body_is_refused_with_the_field(
    #[case] body: &[u8],
    #[case] code: &str,
    #[case] param: Option<&str>,
) {
    let error = post("/v1/x", "application/json", body).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    assert_eq!((error.code(), error.param()), (code, param), "{error}");
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let body = format!(r#"{{"model":"{}","messages":[]}}"#, "m".repeat(300));
    let error = post("/v1/x", "application/json", body.as_bytes())
        .await
        .unwrap_err();
    assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        error.message(),
        "the body is larger than 200 bytes; send less"
    );
}

#[rstest]
#[case("text/plain")]
#[case("application/jsonp")]
#[case("multipart/form-data; x=application/json")]
#[tokio::test]
async fn another_media_type_is_refused(#[case] media_type: &str) {
    let error = post("/api/x", media_type, b"{}").await.unwrap_err();
    assert_eq!(error.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn the_shape_of_the_refusal_follows_the_path() {
    let refused = |error: ApiError| error.with_param("p");
    let openai = refused(post("/v1/x", "application/json", b"{").await.unwrap_err());
    let problem = refused(post("/api/x", "application/json", b"{").await.unwrap_err());
    assert_ne!(openai, problem);
    use axum::response::IntoResponse;
    let header = |error: ApiError| error.into_response().headers()["content-type"].clone();
    assert_eq!(header(openai), "application/json");
    assert_eq!(header(problem), "application/problem+json");
}
