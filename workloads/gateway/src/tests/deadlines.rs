//! Answers that take too long: silent from the beginning, silent in the middle, or without an end.
//! Each limit ends the call to the orchestrator and is told, whole and in a stream, in both APIs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, StatusCode};
use rstest::rstest;
use serde_json::json;

use super::keys::{Signer, realm};
use super::orchestrator::{self, Seen};
use super::support::{Gateway, Parts, Reply, config};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
/// Seconds; the shortest that there is.
const IDLE: u64 = 1;
/// Within which the end of an answer reaches the orchestrator.
const SOON: Duration = Duration::from_secs(1);

/// A gateway that waits so many seconds for an answer as a whole.
async fn gateway(longest: u64) -> (Gateway, Arc<Seen>) {
    let (orchestrator, seen) = orchestrator::start().await;
    let signer = Signer::ec("key-1");
    let realm = realm(&[&signer]).await;
    let mut config = config(&realm.uri(), &orchestrator);
    config.limits.answer_idle_seconds = IDLE;
    config.limits.answer_max_seconds = longest;
    let gateway = Gateway::with_config(&config, Parts::default(), realm, signer);
    (gateway, seen)
}

async fn ask(gateway: &Gateway, path: &str, model: &str, stream: bool) -> Reply {
    let body = if path == CHAT {
        json!({
            "model": model, "stream": stream, "store": false,
            "messages": [{ "role": "user", "content": "?" }],
        })
    } else {
        json!({ "model": model, "stream": stream, "store": false, "input": "?" })
    };
    let mut request = gateway.request(Method::POST, path, "ana");
    *request.body_mut() = Body::from(body.to_string());
    gateway.send(request).await
}

async fn cancelled(seen: &Seen) {
    let told = tokio::time::timeout(SOON, seen.cancelled.notified());
    told.await.expect("the orchestrator is told");
}

fn refused(reply: &Reply) {
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::GATEWAY_TIMEOUT, "answer_timeout"),
        "{reply:?}"
    );
}

/// A stream with text that ends with the word that it took too long.
fn told(path: &str, reply: &Reply, text: &str) {
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert!(reply.body.contains(text), "{reply:?}");
    let end = reply.body.rfind(r#""code":"answer_timeout""#);
    assert!(end > reply.body.find(text), "{reply:?}");
    if path == CHAT {
        assert!(reply.body.ends_with("data: [DONE]\n\n"), "{reply:?}");
    } else {
        assert!(reply.body.contains("event: response.failed\n"), "{reply:?}");
    }
}

#[rstest]
#[case(CHAT)]
#[case(RESPONSES)]
#[tokio::test]
async fn an_answer_that_does_not_begin_is_a_504(#[case] path: &str) {
    let (gateway, seen) = gateway(600).await;
    for stream in [false, true] {
        // A stream has not begun either.
        refused(&ask(&gateway, path, "silent", stream).await);
        cancelled(&seen).await;
        // The control: within the same limits.
        let reply = ask(&gateway, path, "lotoai", stream).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        assert!(!reply.body.contains("answer_timeout"), "{reply:?}");
    }
}

#[rstest]
#[case(CHAT)]
#[case(RESPONSES)]
#[tokio::test]
async fn an_answer_that_falls_silent_is_ended_and_told_why(#[case] path: &str) {
    let (gateway, seen) = gateway(600).await;
    refused(&ask(&gateway, path, "endless", false).await);
    cancelled(&seen).await;
    told(path, &ask(&gateway, path, "endless", true).await, "begun");
    cancelled(&seen).await;
}

#[rstest]
#[case(CHAT)]
#[case(RESPONSES)]
#[tokio::test]
async fn an_answer_without_an_end_is_ended_and_told_why(#[case] path: &str) {
    const LONGEST: u64 = 2 * IDLE;
    let (gateway, seen) = gateway(LONGEST).await;
    for stream in [false, true] {
        let began = Instant::now();
        let reply = ask(&gateway, path, "drips", stream).await;
        // It was not ended for its silence, of which there was none.
        assert!(began.elapsed() >= Duration::from_secs(LONGEST));
        if stream {
            told(path, &reply, r#"".""#);
        } else {
            refused(&reply);
        }
        cancelled(&seen).await;
    }
}
