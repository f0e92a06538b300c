//! Each dialect against a server that behaves, breaks off, refuses, fails, lies and stalls.

mod keys;

use std::time::Duration;

use lotoai_contracts::v1::Sampling;
use lotoai_kit::tls::TlsArgs;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_partial_json, header, method, path},
};

use super::{Providers, Speaker, Turn};
use crate::{
    complete::{Ask, Completer, Finished, Piece},
    config::Timeouts,
    provider::{Failure, FailureKind, Usage},
    table::Table,
};

mod fail_over;
mod format;
mod functions;
mod sampling;

const OPENAI_STREAM: &str = include_str!("../../tests/golden/openai.sse");
const ANTHROPIC_STREAM: &str = include_str!("../../tests/golden/anthropic.sse");

fn timeouts() -> Timeouts {
    Timeouts {
        connect: Duration::from_secs(2),
        head: Duration::from_secs(5),
        first_token: Duration::from_secs(5),
        local_first_token: Duration::from_secs(10),
        between_tokens: Duration::from_millis(150),
        total: Duration::from_secs(20),
    }
}

fn table(kind: &str, base: &str) -> Table {
    Table::parse(&format!(
        "providers: [{{name: p, kind: {kind}, baseURL: '{base}', apiKeyEnv: KEY}}]\n\
         roles: [{{name: r, prompt: Be brief., models: [{{provider: p, model: m}}]}}]"
    ))
    .unwrap()
}

fn completer(table: Table) -> Completer {
    with_key(table, "k-123")
}

fn with_key(table: Table, key: &str) -> Completer {
    let key = |_: &str| Some(key.to_owned());
    let providers = Providers::open(&table, &timeouts(), &TlsArgs::default(), key).unwrap();
    Completer::new(table, providers, timeouts())
}

fn ask() -> Ask {
    Ask {
        role: "r".to_owned(),
        turns: vec![Turn::said(Speaker::User, "Hello?")],
        max_tokens: Some(64),
        temperature: None,
        sampling: Sampling::default(),
        functions: None,
        format: None,
    }
}

/// Runs the plain ask.
async fn run(completer: &Completer) -> (String, Result<Finished, Failure>) {
    run_ask(completer, &ask()).await
}

/// Runs an ask without functions and gives the text that the caller saw.
async fn run_ask(completer: &Completer, ask: &Ask) -> (String, Result<Finished, Failure>) {
    let (sender, mut receiver) = mpsc::channel(64);
    let result = completer.complete(ask, &sender).await;
    drop(sender);
    let mut text = String::new();
    while let Some(piece) = receiver.recv().await {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Call(call) => panic!("nobody declared a function: {call:?}"),
        }
    }
    (text, result)
}

fn sse(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.to_owned(), "text/event-stream")
}

async fn serve(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(response)
        .mount(&server)
        .await;
    server
}

/// A server that sends `body` with a promise of more, and then nothing.
async fn stalling(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0_u8; 8192];
            let _read = socket.read(&mut request).await.unwrap();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            let chunk = format!("{head}{:x}\r\n{body}\r\n", body.len());
            socket.write_all(chunk.as_bytes()).await.unwrap();
            held.push(socket);
        }
    });
    format!("http://{address}/v1")
}

#[rstest]
#[case("OpenAI", "max_completion_tokens")]
#[case("XAI", "max_tokens")]
#[case("OpenAICompatible", "max_tokens")]
#[case("Local", "max_tokens")]
#[tokio::test]
async fn chat_completions_stream(#[case] kind: &str, #[case] bound: &str) {
    let server = MockServer::start().await;
    let mut expected = json!({
        "model": "m",
        "stream": true,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello?"},
        ],
    });
    expected[bound] = Value::from(64);
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .and(header("authorization", "Bearer k-123"))
        .and(body_partial_json(expected))
        .respond_with(sse(OPENAI_STREAM))
        .expect(1)
        .mount(&server)
        .await;
    let (text, result) = run(&completer(table(kind, &format!("{}/v1", server.uri())))).await;
    assert_eq!(text, "Hello, world.");
    let finished = result.unwrap();
    assert_eq!(finished.finish_reason, "stop");
    assert_eq!(
        finished.usage,
        Usage {
            input: Some(19),
            output: Some(4)
        }
    );
    assert_eq!(
        (finished.provider.as_str(), finished.model.as_str()),
        ("p", "m")
    );
}

#[tokio::test]
async fn anthropic_messages_stream() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/messages"))
        .and(header("x-api-key", "k-123"))
        .and(header("anthropic-version", "2023-06-01"))
        .and(body_partial_json(json!({
            "model": "m", "stream": true, "max_tokens": 64, "system": "Be brief.",
            "messages": [{"role": "user", "content": "Hello?"}],
        })))
        .respond_with(sse(ANTHROPIC_STREAM))
        .expect(1)
        .mount(&server)
        .await;
    let (text, result) = run(&completer(table(
        "Anthropic",
        &format!("{}/v1", server.uri()),
    )))
    .await;
    assert_eq!(text, "Hello, world.");
    let finished = result.unwrap();
    assert_eq!(finished.finish_reason, "length");
    // 12 read + 5 written to the cache + 2 from it.
    assert_eq!(
        finished.usage,
        Usage {
            input: Some(19),
            output: Some(7)
        }
    );
}

#[rstest]
#[case("OpenAI")]
#[case("Anthropic")]
#[tokio::test]
async fn a_stream_that_is_cut_is_a_failure(#[case] kind: &str) {
    let whole = if kind == "Anthropic" {
        ANTHROPIC_STREAM
    } else {
        OPENAI_STREAM
    };
    let cut = whole.find("world").unwrap();
    let end = whole[..cut].rfind("\n\n").unwrap() + 2;
    let server = serve(sse(&whole[..end])).await;
    let (text, result) = run(&completer(table(kind, &server.uri()))).await;
    assert_eq!(text, "Hello, ");
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(
        failure.message.contains("before the answer was complete"),
        "{}",
        failure.message
    );
}

#[rstest]
#[case(401, FailureKind::Refused, false, "check the key")]
#[case(429, FailureKind::RateLimited, true, "fewer calls")]
#[case(500, FailureKind::Unavailable, true, "failing (500)")]
#[case(400, FailureKind::Refused, false, "too long")]
#[tokio::test]
async fn a_status_becomes_a_code(
    #[values("OpenAI", "Anthropic")] kind: &str,
    #[case] status: u16,
    #[case] code: FailureKind,
    #[case] retryable: bool,
    #[case] mentions: &str,
) {
    let body = json!({"error": {"message": "too long k-123", "type": "x"}});
    let server = serve(ResponseTemplate::new(status).set_body_json(body)).await;
    let (text, result) = run(&completer(table(kind, &server.uri()))).await;
    assert_eq!(text, "");
    let failure = result.unwrap_err();
    assert_eq!((failure.kind, failure.retryable), (code, retryable));
    assert!(failure.message.contains(mentions), "{}", failure.message);
    if status == 401 {
        assert!(
            !failure.message.contains("k-123"),
            "the key may not come back"
        );
    }
}

#[rstest]
#[case("OpenAI", "data: {\"choices\": [\n\n")]
#[case("Anthropic", "event: message_start\ndata: nonsense\n\n")]
#[tokio::test]
async fn a_malformed_event_is_a_failure(#[case] kind: &str, #[case] body: &str) {
    let server = serve(sse(body)).await;
    let failure = run(&completer(table(kind, &server.uri())))
        .await
        .1
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains("not valid"), "{}", failure.message);
}

#[rstest]
#[case(
    "OpenAI",
    "data: {\"error\":{\"type\":\"rate_limit_exceeded\",\"message\":\"slow down\"}}\n\n"
)]
#[case(
    "Anthropic",
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow down\"}}\n\n"
)]
#[tokio::test]
async fn an_error_inside_the_stream_keeps_its_meaning(#[case] kind: &str, #[case] body: &str) {
    let server = serve(sse(body)).await;
    let failure = run(&completer(table(kind, &server.uri())))
        .await
        .1
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::RateLimited);
    assert!(failure.message.contains("slow down"));
}

#[rstest]
#[case(
    "OpenAI",
    "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n"
)]
#[case(
    "Anthropic",
    "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}\n\n"
)]
#[tokio::test]
async fn a_stall_is_a_timeout(#[case] kind: &str, #[case] body: &'static str) {
    let base = stalling(body).await;
    let (text, result) = run(&completer(table(kind, &base))).await;
    assert_eq!(text, "Hel");
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(failure.retryable && failure.message.contains("in the middle"));
}

#[tokio::test]
async fn an_event_without_end_is_refused() {
    let body: &'static str = format!("data: {}", "x".repeat(300 * 1024)).leak();
    let base = stalling(body).await;
    let failure = run(&completer(table("OpenAI", &base))).await.1.unwrap_err();
    assert!(failure.message.contains("256 KiB"), "{}", failure.message);
}

#[tokio::test]
async fn odd_but_harmless_fields_are_read() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"\"}],\"usage\":{}}\n\n\
                data: {\"choices\":[],\"usage\":null}\n\n\
                : keep-alive\n\n\
                data: {\"service_tier\":\"on_demand\",\"choices\":[{\"delta\":{},\"finish_reason\":\"eos_token\"}]}\n\n";
    let server = serve(sse(body)).await;
    let (text, result) = run(&completer(table("OpenAICompatible", &server.uri()))).await;
    assert_eq!(text, "a");
    let finished = result.unwrap();
    assert_eq!(finished.finish_reason, "eos_token");
    assert_eq!(finished.usage, Usage::default());
}

/// A role with a local model, and after it one of another provider.
fn local_first(local: &str, other: &str) -> Table {
    Table::parse(&format!(
        "providers:\n  - {{name: a, kind: Local, baseURL: '{local}'}}\n  \
         - {{name: b, kind: OpenAICompatible, baseURL: '{other}'}}\n\
         roles: [{{name: r, models: [{{provider: a, model: m1}}, {{provider: b, model: m2}}]}}]"
    ))
    .unwrap()
}

fn two(first: &str, second: &str) -> Table {
    Table::parse(&format!(
        "providers:\n  - {{name: a, kind: OpenAICompatible, baseURL: '{first}', apiKeyEnv: KEY_A}}\n  \
         - {{name: b, kind: Local, baseURL: '{second}', apiKeyEnv: KEY_B}}\n\
         roles: [{{name: r, models: [{{provider: a, model: m1}}, {{provider: b, model: m2}}]}}]"
    ))
    .unwrap()
}

#[tokio::test]
async fn an_unknown_role_is_named() {
    let completer = completer(table("Local", "http://127.0.0.1:9"));
    let mut other = ask();
    other.role = "nobody".to_owned();
    let (sender, _receiver) = mpsc::channel(1);
    let failure = completer.complete(&other, &sender).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::UnknownRole);
    assert!(failure.message.contains("nobody"));
}

#[test]
fn only_the_platforms_own_model_server_needs_the_platforms_authority() {
    let open = |kind: &str, base: &str| {
        let table = table(kind, base);
        Providers::open(&table, &timeouts(), &TlsArgs::default(), |_| {
            Some("k".to_owned())
        })
    };
    let error = open("Local", "https://model-server:8080/v1").err().unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("set TLS_CA_FILE"), "{cause}");
    assert!(open("Local", "http://model-server:8080/v1").is_ok());
    assert!(open("OpenAI", "https://api.openai.com/v1").is_ok());
}
