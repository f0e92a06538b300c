//! What the gateway takes on, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, StatusCode};
use futures::StreamExt as _;
use serde_json::json;
use tower::ServiceExt as _;

use super::budgets::question;
use super::keys::{Signer, realm};
use super::orchestrator::{self, Seen};
use super::postgres;
use super::support::{Gateway, Parts, config};
use crate::streams::places::UNREAD_OF_ONE;

const PATIENCE: Duration = Duration::from_secs(20);

async fn gateway(requests: u32, drain: u64) -> (Gateway, Arc<Seen>) {
    gateway_of(requests, drain, Parts::default()).await
}

async fn gateway_of(requests: u32, drain: u64, parts: Parts) -> (Gateway, Arc<Seen>) {
    let (orchestrator, seen) = orchestrator::start().await;
    let signer = Signer::ec("key-1");
    let realm = realm(&[&signer]).await;
    let mut config = config(&realm.uri(), &orchestrator);
    config.limits.requests_max_concurrent = requests;
    config.common.drain_seconds = drain;
    (Gateway::with_config(&config, parts, realm, signer), seen)
}

async fn endless(gateway: &Gateway) -> Body {
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    *request.body_mut() = Body::from(question("endless", &json!({"stream": true})));
    let response = gateway.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body()
}

#[tokio::test]
async fn what_is_too_much_is_refused_at_once_until_a_stream_ends() {
    let (gateway, _) = gateway(1, 25).await;
    let stream = endless(&gateway).await;
    for path in ["/api/me", "/v1/models"] {
        let reply = gateway.get(path, "ana").await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (429, "overloaded")
        );
        assert_eq!(reply.header("retry-after"), "1");
    }
    // The files of the web client are not an API's.
    assert_eq!(gateway.get("/", "ana").await.status, StatusCode::OK);
    drop(stream);
    assert_eq!(gateway.get("/api/me", "ana").await.status, StatusCode::OK);
}

/// Whole answers go on under a key though nobody waits for them: they count as long as they do.
#[tokio::test]
async fn who_hangs_up_on_a_request_with_a_key_holds_its_place_until_it_ends() {
    let Some(server) = postgres::start() else {
        return;
    };
    let pool = server.pool();
    let parts = Parts {
        pool,
        ..Parts::default()
    };
    let (gateway, seen) = gateway_of(1, 25, parts).await;
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    let headers = request.headers_mut();
    headers.insert("idempotency-key", "k".parse().unwrap());
    *request.body_mut() = Body::from(question("told", &json!({})));
    let mut answer = Box::pin(gateway.send(request));
    tokio::select! {
        reply = &mut answer => panic!("{reply:?}"),
        () = seen.asked(1) => {}
    }
    drop(answer);
    let reply = gateway.get("/api/me", "ana").await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (429, "overloaded")
    );
    seen.tell(0, None);
    tokio::time::timeout(PATIENCE, gateway.settle())
        .await
        .expect("it ends");
    assert_eq!(gateway.get("/api/me", "ana").await.status, StatusCode::OK);
}

/// What goes on without its request counts, too: as many of them are written at a time.
#[tokio::test]
async fn responses_in_the_background_are_as_many_as_requests() {
    let Some(server) = postgres::start() else {
        return;
    };
    let parts = Parts {
        pool: server.pool(),
        ..Parts::default()
    };
    let (gateway, seen) = gateway_of(1, 25, parts).await;
    let ask = async || {
        let mut request = gateway.request(Method::POST, "/v1/responses", "ana");
        let body = json!({"model": "told", "input": "?", "background": true});
        *request.body_mut() = Body::from(body.to_string());
        gateway.send(request).await
    };
    let first = ask().await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    let second = ask().await;
    assert_eq!(
        (second.status.as_u16(), second.code().as_str()),
        (429, "overloaded")
    );
    // The control: what is no answer finds room, and so does the next one when the first has ended.
    assert_eq!(gateway.get("/api/me", "ana").await.status, StatusCode::OK);
    seen.asked(1).await;
    seen.tell(0, None);
    gateway.settle_run().await;
    assert_eq!(ask().await.status, StatusCode::OK);
}

/// They need no connection, and still nobody takes the places of all.
#[tokio::test]
async fn responses_in_the_background_of_one_person_are_not_all() {
    let Some(server) = postgres::start() else {
        return;
    };
    let parts = Parts {
        pool: server.pool(),
        ..Parts::default()
    };
    let (gateway, seen) = gateway_of(1_000, 25, parts).await;
    let ask = async |subject: &str| {
        let mut request = gateway.request(Method::POST, "/v1/responses", subject);
        let body = json!({"model": "told", "input": "?", "background": true});
        *request.body_mut() = Body::from(body.to_string());
        gateway.send(request).await
    };
    for number in 0..UNREAD_OF_ONE {
        let reply = ask("ana").await;
        assert_eq!(reply.status, StatusCode::OK, "{number}: {reply:?}");
    }
    let more = ask("ana").await;
    assert_eq!(
        (more.status.as_u16(), more.code().as_str()),
        (429, "too_many_background_responses")
    );
    assert!(!more.header("retry-after").is_empty(), "{more:?}");
    assert_eq!(ask("bo").await.status, StatusCode::OK, "it is of a person");
    seen.asked(UNREAD_OF_ONE + 1).await;
    for answer in 0..=UNREAD_OF_ONE {
        seen.tell(answer, None);
    }
    gateway.settle_run().await;
    assert_eq!(ask("ana").await.status, StatusCode::OK);
}

/// It is all there at once, and is still in hand until it is taken.
#[tokio::test]
async fn a_long_whole_answer_holds_its_place_until_it_is_taken() {
    let (gateway, _) = gateway(1, 25).await;
    let request = gateway.request(Method::GET, "/api/openapi.json", "ana");
    let response = gateway.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let length = response.headers()["content-length"].clone();
    assert_eq!(gateway.get("/api/me", "ana").await.code(), "overloaded");
    let whole = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(
        whole.len() > 64 * 1024,
        "{} bytes are not long",
        whole.len()
    );
    assert_eq!(length, whole.len().to_string().as_str());
    assert_eq!(gateway.get("/api/me", "ana").await.status, StatusCode::OK);
    // The control: a short one holds none.
    let request = gateway.request(Method::GET, "/api/me", "ana");
    let short = gateway.router.clone().oneshot(request).await.unwrap();
    assert_eq!(gateway.get("/api/me", "ana").await.status, StatusCode::OK);
    drop(short);
}

/// Who takes nothing of long answers leaves no room for others: those who only look are refused.
#[tokio::test]
async fn long_whole_answers_have_so_much_room_in_all() {
    let (gateway, _) = gateway(9, 25).await;
    let room = gateway.state.admission.room(u64::MAX).unwrap();
    let long = "/api/openapi.json";
    let reply = gateway.get(long, "ana").await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (429, "overloaded")
    );
    // The controls: short ones need none, and with room it is given.
    assert_eq!(gateway.get("/api/me", "ana").await.status, StatusCode::OK);
    drop(room);
    assert_eq!(gateway.get(long, "ana").await.status, StatusCode::OK);
}

#[tokio::test]
async fn headers_have_an_end() {
    let (gateway, _) = gateway(9, 25).await;
    let send = async |bytes: usize| {
        let mut request = gateway.request(Method::GET, "/api/me", "ana");
        let value = "x".repeat(bytes).parse().unwrap();
        request.headers_mut().insert("x-long", value);
        gateway.send(request).await
    };
    let reply = send(33 * 1024).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (431, "headers_too_large")
    );
    assert_eq!(send(8 * 1024).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_stop_ends_a_stream_with_an_error_that_can_be_read() {
    let (gateway, seen) = gateway(9, 1).await;
    let mut stream = endless(&gateway).await.into_data_stream();
    let mut text = String::new();
    while !text.contains("begun") {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    gateway.service.shutdown.cancel();
    let rest = async {
        while let Some(part) = stream.next().await {
            text.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        }
        seen.cancelled.notified().await;
    };
    tokio::time::timeout(Duration::from_secs(5), rest)
        .await
        .unwrap();
    assert!(text.contains("\"code\":\"shutting_down\""), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn a_reader_who_is_behind_hears_of_a_stop_too() {
    /// What the reader may still be told after the stop.
    const MOST: usize = 16 << 20;
    let (gateway, _seen) = gateway(9, 1).await;
    let body = question("flood", &json!({"stream": true}));
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    *request.body_mut() = Body::from(body);
    let response = gateway.router.clone().oneshot(request).await.unwrap();
    let mut stream = response.into_body().into_data_stream();
    stream.next().await.unwrap().unwrap();
    gateway.state.ending.cancel();
    let mut text = String::new();
    while let Some(part) = stream.next().await {
        text.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        assert!(text.len() < MOST, "the stream goes on");
    }
    assert!(text.contains("\"code\":\"shutting_down\""), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"));
}
