//! Both models behind the real router. Needs the model files; see local/models/build.py.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures::StreamExt;
use lotoai_kit::Service;
use lotoai_kit::callers::Callers;
use lotoai_model_server::api::{State, router};
use lotoai_model_server::engine::{Chat, ChatOptions, Embedder, EmbedderOptions};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

const TOKEN: &str = "token-of-the-tests";

/// The directory of the model files; `None` (and a line that says so) when they are not there.
fn models() -> Option<PathBuf> {
    let directory = std::env::var_os("LOTOAI_MODELS").map_or_else(
        || {
            let cache = std::env::var_os("LOTOAI_CACHE").map_or_else(
                || {
                    PathBuf::from(std::env::var_os("HOME").unwrap_or_default())
                        .join(".cache/lotoai")
                },
                PathBuf::from,
            );
            cache.join("third-party/models-1")
        },
        PathBuf::from,
    );
    let there = directory.join("all-minilm-l6-v2.gguf").is_file()
        && directory.join("smollm2-135m-instruct.gguf").is_file();
    if !there {
        // Written past the test harness, which would swallow the output of a passing test.
        let line = format!(
            "SKIPPED: no model files in {}; local/models/build.py makes them\n",
            directory.display()
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    there.then_some(directory)
}

struct Server {
    router: Router,
}

impl Server {
    fn start() -> Option<Self> {
        Self::with_queue(8)
    }

    fn with_queue(queue: usize) -> Option<Self> {
        let models = models()?;
        let service = Service::for_tests("model-server");
        // One: tests run beside other work, see `Config::threads`.
        let threads = 1;
        let path = models.join("all-minilm-l6-v2.gguf");
        let embedder = Embedder::start(
            EmbedderOptions {
                path,
                threads,
                queue,
            },
            &service,
        )
        .unwrap();
        let path = models.join("smollm2-135m-instruct.gguf");
        let options = ChatOptions {
            path,
            threads,
            queue,
            context_tokens: 2048,
        };
        let chat = Chat::start(options, &service).unwrap();
        let callers = Callers::new([("TEST".to_owned(), SecretString::from(TOKEN))]);
        Some(Self {
            router: router(Arc::new(State { embedder, chat }), callers),
        })
    }

    async fn send(&self, path: &str, body: &Value) -> axum::response::Response {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let response = self.send(path, &body).await;
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 64 << 20)
            .await
            .unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn embed(&self, input: &[&str]) -> Vec<Vec<f32>> {
        let body = json!({ "model": "all-minilm-l6-v2", "input": input });
        let (status, body) = self.post("/v1/embeddings", body).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        vectors(&body)
    }

    async fn chat(&self, extra: Value) -> (StatusCode, Value) {
        self.post("/v1/chat/completions", question(extra)).await
    }
}

fn question(extra: Value) -> Value {
    let passages = "[1] The VPN password expires every 90 days.\n\
                    [2] Support answers the phone on extension 4444.\n\n\
                    Question: What is the phone extension of support?";
    let mut body = json!({
        "model": "smollm2-135m-instruct",
        "messages": [
            { "role": "system", "content": "Answer the question using only the passages." },
            { "role": "user", "content": passages },
        ],
        "max_tokens": 32,
    });
    body.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    body
}

fn vectors(body: &Value) -> Vec<Vec<f32>> {
    let data = body["data"].as_array().unwrap();
    data.iter()
        .map(|item| serde_json::from_value(item["embedding"].clone()).unwrap())
        .collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[derive(Deserialize)]
struct Reference {
    text: String,
    tokens: usize,
    vector: Vec<f32>,
}

/// The fixture was computed in float32 from the original weights by a separate implementation.
#[tokio::test]
async fn vectors_are_those_of_the_original_model() {
    let Some(server) = Server::start() else {
        return;
    };
    let references: Vec<Reference> =
        serde_json::from_str(include_str!("fixtures/reference.json")).unwrap();
    for reference in &references {
        let body = json!({ "model": "all-minilm-l6-v2", "input": reference.text });
        let (_, body) = server.post("/v1/embeddings", body).await;
        assert_eq!(
            body["usage"]["prompt_tokens"], reference.tokens,
            "{}",
            reference.text
        );
        let similarity = cosine(&vectors(&body)[0], &reference.vector);
        assert!(similarity > 0.999, "{similarity} for {}", reference.text);
    }
    // The same in one request: neighbours in a call must not touch each other.
    let texts: Vec<_> = references
        .iter()
        .map(|reference| reference.text.as_str())
        .collect();
    for (vector, reference) in server.embed(&texts).await.iter().zip(&references) {
        assert!(
            cosine(vector, &reference.vector) > 0.999,
            "{}",
            reference.text
        );
    }
}

/// As clients of OpenAI's API send a text that they have cut into its tokens.
#[tokio::test]
async fn token_numbers_have_the_vectors_of_their_texts() {
    let Some(server) = Server::start() else {
        return;
    };
    let of = async |input: Value| {
        let body = json!({ "model": "all-minilm-l6-v2", "input": input });
        let (status, body) = server.post("/v1/embeddings", body).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        (vectors(&body), body["usage"].clone())
    };
    // "hello world", and "tiktoken is great!".
    let numbers = json!([[15339, 1917], [83, 1609, 5963, 374, 2294, 0]]);
    let (made, usage) = of(numbers).await;
    let (expected, of_texts) = of(json!(["hello world", "tiktoken is great!"])).await;
    assert_eq!(usage, of_texts);
    for (made, expected) in made.iter().zip(&expected) {
        assert!(cosine(made, expected) > 0.9999);
    }
    let (single, _) = of(json!([15339, 1917])).await;
    assert_eq!(single.len(), 1);
    assert!(cosine(&single[0], &expected[0]) > 0.9999);
    assert!(cosine(&single[0], &expected[1]) < 0.9, "the control");
}

#[tokio::test]
async fn meaning_decides_what_is_near() {
    let Some(server) = Server::start() else {
        return;
    };
    let vectors = server
        .embed(&[
            "How do I reset my password?",
            "Steps to change a forgotten password",
            "Fresh sourdough bread at seven",
        ])
        .await;
    assert!(cosine(&vectors[0], &vectors[1]) > 0.7);
    assert!(cosine(&vectors[0], &vectors[2]) < 0.2);
    assert!((cosine(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-4);
}

#[tokio::test]
async fn a_long_text_is_cut_and_the_answer_says_so() {
    let Some(server) = Server::start() else {
        return;
    };
    let input = ["short".to_owned(), "retrieval ".repeat(500)];
    let body = json!({ "model": "all-minilm-l6-v2", "input": input });
    let (_, body) = server.post("/v1/embeddings", body).await;
    assert_eq!(body["truncated"], json!([1]));
    assert_eq!(body["usage"]["prompt_tokens"], 3 + 256);
}

#[tokio::test]
async fn a_full_request_of_256_texts_is_answered_in_order() {
    let Some(server) = Server::start() else {
        return;
    };
    let texts: Vec<_> = (0..256)
        .map(|number| format!("The number of this passage is {number}."))
        .collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let all = server.embed(&texts).await;
    assert_eq!(all.len(), 256);
    let alone = server.embed(&texts[200..201]).await;
    assert!(cosine(&all[200], &alone[0]) > 0.9999);
}

#[tokio::test]
async fn the_model_answers_and_counts() {
    let Some(server) = Server::start() else {
        return;
    };
    let (status, body) = server.chat(json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let answer = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(answer.contains("4444"), "{answer}");
    assert!(!answer.contains("<|im_end|>"));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let usage = &body["usage"];
    assert!(usage["prompt_tokens"].as_u64().unwrap() > 10);
    assert!((1..=32).contains(&usage["completion_tokens"].as_u64().unwrap()));
}

#[tokio::test]
async fn the_same_question_gets_the_same_answer_after_another_one() {
    let Some(server) = Server::start() else {
        return;
    };
    let other = json!({ "messages": [{ "role": "user", "content": "Name a colour." }] });
    server.chat(other.clone()).await;
    let (_, first) = server.chat(json!({})).await;
    server.chat(other).await;
    let (_, again) = server.chat(json!({})).await;
    assert_eq!(first["choices"], again["choices"]);
    let (_, again) = server.chat(json!({ "temperature": 1.0, "seed": 7 })).await;
    let (_, same_seed) = server.chat(json!({ "temperature": 1.0, "seed": 7 })).await;
    assert_eq!(again["choices"], same_seed["choices"]);
}

#[tokio::test]
async fn limits_end_an_answer() {
    let Some(server) = Server::start() else {
        return;
    };
    let (_, body) = server.chat(json!({ "max_tokens": 2 })).await;
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(body["usage"]["completion_tokens"], 2);
    let (_, body) = server.chat(json!({ "stop": "4444" })).await;
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert!(
        !body["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .contains("Paris")
    );
}

#[tokio::test]
async fn a_conversation_that_does_not_fit_is_refused_before_a_stream_begins() {
    let Some(server) = Server::start() else {
        return;
    };
    let content = "word ".repeat(4000);
    let messages = json!([{ "role": "user", "content": content }]);
    let (status, body) = server
        .chat(json!({ "messages": messages, "stream": true }))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["error"]["code"], "context_length_exceeded");
    // The model is well afterwards.
    assert_eq!(server.chat(json!({})).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_stream_says_the_same_as_a_whole_answer() {
    let Some(server) = Server::start() else {
        return;
    };
    let (_, whole) = server.chat(json!({})).await;
    let response = server
        .send("/v1/chat/completions", &question(json!({ "stream": true })))
        .await;
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let mut frames = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .peekable();
    let mut answer = String::new();
    while let Some(frame) = frames.next() {
        if frame == "[DONE]" {
            assert!(frames.peek().is_none());
            assert_eq!(answer, whole["choices"][0]["message"]["content"]);
            return;
        }
        let chunk: Value = serde_json::from_str(frame).unwrap();
        answer.push_str(
            chunk["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap_or_default(),
        );
    }
    panic!("the stream did not end with [DONE]");
}

#[tokio::test]
async fn a_client_that_goes_away_frees_the_model_and_a_full_queue_says_when_to_return() {
    let Some(server) = Server::with_queue(1) else {
        return;
    };
    let story = question(json!({
        "messages": [{ "role": "user", "content": "Write a very long story about a dragon." }],
        "max_tokens": 1024, "temperature": 1.5, "stream": true,
    }));
    let response = server.send("/v1/chat/completions", &story).await;
    let mut body = response.into_body().into_data_stream();
    body.next().await.unwrap().unwrap();
    // One is being answered and one waits: the third is refused.
    let waiting = {
        let (router, story) = (server.router.clone(), story.clone());
        tokio::spawn(async move { Server { router }.send("/v1/chat/completions", &story).await })
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    let refused = loop {
        assert!(Instant::now() < deadline, "the queue never filled");
        let send = server.send("/v1/chat/completions", &story);
        match tokio::time::timeout(Duration::from_millis(100), send).await {
            Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => break response,
            Ok(_) | Err(_) => {}
        }
    };
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    waiting.abort();
    drop(body);
    // Far sooner than 1024 tokens take. Refusals are right until the model has noticed.
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let (status, body) = server.chat(json!({ "max_tokens": 1 })).await;
        if status == StatusCode::OK {
            break;
        }
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
        assert!(Instant::now() < deadline, "the model was not freed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn nobody_is_served_without_a_token() {
    let Some(server) = Server::start() else {
        return;
    };
    for (method, path) in [
        ("GET", "/v1/models"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/nowhere"),
    ] {
        for wrong in [None, Some("Bearer "), Some("Bearer wrong-token-0123456789")] {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(wrong) = wrong {
                request = request.header(header::AUTHORIZATION, wrong);
            }
            let request = request.body(Body::empty()).unwrap();
            let response = server.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            assert_eq!(
                status,
                StatusCode::UNAUTHORIZED,
                "{method} {path} {wrong:?}"
            );
        }
    }
    let request = Request::get("/v1/models")
        .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
        .body(Body::empty())
        .unwrap();
    let response = server.router.clone().oneshot(request).await.unwrap();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 16)
        .await
        .unwrap();
    let models: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(models["data"][1]["id"], "smollm2-135m-instruct");
}
