//! A model server that answers by the first text.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(crate) const MODEL: &str = "all-minilm-l6-v2";
/// The fake counts this many tokens for each text.
pub(crate) const TOKENS: u64 = 7;
/// Length of its vectors.
pub(crate) const DIMENSIONS: u64 = 2;
/// No token has this number.
pub(crate) const NO_TOKEN: u64 = 100_256;

struct Fake;

impl Respond for Fake {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = request.body_json().unwrap();
        let texts = body["input"].as_array().unwrap();
        let refuse = |status: u16, param: Option<&str>, code: &str| {
            let message = format!("{code} at 10.0.0.7");
            let error = json!({ "message": message, "type": "x", "param": param, "code": code });
            ResponseTemplate::new(status).set_body_json(json!({ "error": error }))
        };
        if body
            .get("dimensions")
            .is_some_and(|wanted| wanted != DIMENSIONS)
        {
            return refuse(400, Some("dimensions"), "invalid_value");
        }
        let is_unknown = |list: &Value| {
            let numbers = list.as_array()?;
            numbers.iter().position(|number| *number == NO_TOKEN)
        };
        let mut lists = texts.iter().enumerate();
        if let Some((at, within)) = lists.find_map(|(at, it)| Some((at, is_unknown(it)?))) {
            let param = format!("input[{at}][{within}]");
            return refuse(400, Some(&param), &format!("{param} is no token"));
        }
        let vector = match body["encoding_format"].as_str() {
            Some("base64") => json!("AACAPwAAAAA="),
            _ => json!([1.0, 0.0]),
        };
        let vectors = |count: usize| {
            let one = |index| json!({ "object": "embedding", "index": index, "embedding": vector });
            let tokens = TOKENS * texts.len() as u64;
            ResponseTemplate::new(200).set_body_json(json!({
                "object": "list", "model": MODEL, "truncated": [0],
                "data": (0..count).map(one).collect::<Vec<_>>(),
                "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
            }))
        };
        match texts[0].as_str().unwrap_or_default() {
            "busy" => refuse(429, None, "queue_full"),
            "fails" => refuse(500, None, "model_failed"),
            "stranger" => refuse(401, None, "invalid_token"),
            "short" => vectors(texts.len() - 1),
            "nonsense" => ResponseTemplate::new(200).set_body_string("<html>"),
            "slow" => vectors(texts.len()).set_delay(Duration::from_secs(600)),
            _ => vectors(texts.len()),
        }
    }
}

/// Starts the fake on a free port of loopback. It knows the gateway by its token.
pub(crate) async fn start() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/embeddings"))
        .and(header("authorization", "Bearer m"))
        .respond_with(Fake)
        .mount(&server)
        .await;
    server
}

/// Bodies of what it was asked.
pub(crate) async fn asked(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    let bodies = requests.iter().map(|request| request.body_json().unwrap());
    bodies.collect()
}
