//! `Idempotency-Key` over a real PostgreSQL.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::routing::post;
use futures::StreamExt as _;
use serde_json::{Value, json};
use sqlx::Row as _;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::budgets::question;
use super::postgres;
use super::support::{Gateway, Reply};
use super::transactions::{left_under_way, lone};
use crate::failure::Failure;
use crate::idempotency::idempotency;
use crate::identity::{Credential, Identity, SignedIn};
use crate::store::{Claim, Store};

fn chat(gateway: &Gateway, subject: &str, key: &str, model: &str, more: &Value) -> Request<Body> {
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", subject);
    let headers = request.headers_mut();
    headers.insert("idempotency-key", key.parse().unwrap());
    *request.body_mut() = Body::from(question(model, more));
    request
}

fn upload(gateway: &Gateway, key: &str, boundary: &str, content: &str) -> Request<Body> {
    let mut request = gateway.request(Method::POST, "/api/documents", "ana");
    let headers = request.headers_mut();
    headers.insert("idempotency-key", key.parse().unwrap());
    let kind = format!("multipart/form-data; boundary={boundary}");
    headers.insert("content-type", kind.parse().unwrap());
    *request.body_mut() = Body::from(format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n\
         {content}\r\n--{boundary}--\r\n"
    ));
    request
}

fn code(reply: &Reply) -> (u16, String) {
    (reply.status.as_u16(), reply.code())
}

const KEPT: fn() -> Value = || json!({"store": true});

#[tokio::test]
async fn the_same_upload_has_the_same_answer_and_another_is_refused() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let first = gateway.send(upload(&gateway, "k1", "one", "text")).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{first:?}");
    // A client that sends a form again chooses another boundary.
    let again = gateway.send(upload(&gateway, "k1", "two", "text")).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("content-type"), first.header("content-type"));
    let other = gateway
        .send(upload(&gateway, "k1", "one", "other text"))
        .await;
    assert_eq!(code(&other), (422, "idempotency_key_reused".into()));
    assert_eq!(other.json()["param"], "Idempotency-Key");
    // The control: without the key the same content is told to be there already.
    let fresh = gateway.send(upload(&gateway, "k2", "one", "text")).await;
    assert_eq!(fresh.status, StatusCode::OK);
    assert_eq!(fresh.header("idempotency-replayed"), "");
}

#[tokio::test]
async fn a_key_is_its_callers_alone_and_ends_after_a_day() {
    let Some((server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let send = |subject| gateway.send(chat(&gateway, subject, "k", "writer", &KEPT()));
    let first = send("ana").await;
    assert_eq!(send("ana").await.body, first.body);
    assert_ne!(send("eve").await.body, first.body);
    assert_eq!(seen.requests.lock().unwrap().len(), 2);
    let pool = server.pool();
    let row =
        sqlx::query("select min(expires_at - now()) > interval '23 hours' from idempotency_keys")
            .fetch_one(&pool);
    assert!(row.await.unwrap().get::<bool, _>(0));
    sqlx::query("update idempotency_keys set expires_at = now()")
        .execute(&pool)
        .await
        .unwrap();
    assert_ne!(send("ana").await.body, first.body);
    assert_eq!(
        gateway.state.store.sweep_idempotency_keys().await.unwrap(),
        1
    );
}

#[tokio::test]
async fn a_request_that_is_being_answered_is_not_answered_twice() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let claim = |key: &'static str, seconds| {
        let lease = Duration::from_secs(seconds);
        gateway.state.store.claim_key("ana", key, lease)
    };
    claim("running", 60).await.unwrap();
    claim("lost", 0).await.unwrap();
    let running = gateway
        .send(chat(&gateway, "ana", "running", "writer", &KEPT()))
        .await;
    assert_eq!(code(&running), (409, "idempotency_in_progress".into()));
    assert_eq!(running.header("retry-after"), "1");
    // After a crash nobody knows, and nothing is done a second time.
    let lost = gateway
        .send(chat(&gateway, "ana", "lost", "writer", &KEPT()))
        .await;
    assert_eq!(code(&lost), (409, "idempotency_outcome_unknown".into()));
    assert_eq!(lost.header("x-should-retry"), "false");
    assert!(seen.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn of_many_at_once_one_takes_effect() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let calls = (0..20).map(|_| gateway.send(chat(&gateway, "ana", "k", "writer", &KEPT())));
    let replies = futures::future::join_all(calls).await;
    assert_eq!(seen.requests.lock().unwrap().len(), 1);
    let whole: Vec<_> = replies.iter().filter(|it| it.status.is_success()).collect();
    assert!(!whole.is_empty());
    assert!(whole.iter().all(|it| it.body == whole[0].body));
    let others = replies.iter().filter(|it| !it.status.is_success());
    assert!(
        others
            .map(code)
            .all(|it| it == (409, "idempotency_in_progress".into()))
    );
}

#[tokio::test]
async fn what_failed_or_was_refused_may_be_sent_again() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    for model in ["missing", "breaks", "bad name"] {
        let reply = gateway
            .send(chat(&gateway, "ana", "k", model, &KEPT()))
            .await;
        assert!(!reply.status.is_success(), "{reply:?}");
    }
    let streamed = json!({"store": true, "stream": true});
    let reply = gateway
        .send(chat(&gateway, "ana", "k", "breaks", &streamed))
        .await;
    assert!(reply.body.contains("orchestrator_unavailable"));
    let reply = gateway
        .send(chat(&gateway, "ana", "k", "writer", &KEPT()))
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(seen.requests.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_stream_is_given_again_byte_by_byte() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let streamed = json!({"store": true, "stream": true});
    let first = gateway
        .send(chat(&gateway, "ana", "k", "writer", &streamed))
        .await;
    let again = gateway
        .send(chat(&gateway, "ana", "k", "writer", &streamed))
        .await;
    assert!(first.body.ends_with("data: [DONE]\n\n"));
    assert_eq!((&again.body, again.status), (&first.body, first.status));
    assert_eq!(again.header("content-type"), "text/event-stream");
    assert_eq!(seen.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_finds_its_answer_and_a_stream_is_stopped() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let request = chat(&gateway, "ana", "whole", "writer", &KEPT());
    let mut answer = Box::pin(gateway.router.clone().oneshot(request));
    while seen.requests.lock().unwrap().is_empty() {
        let step = tokio::time::timeout(Duration::from_millis(1), &mut answer);
        if step.await.is_ok() {
            break;
        }
    }
    drop(answer);
    gateway.settle().await;
    let found = gateway
        .send(chat(&gateway, "ana", "whole", "writer", &KEPT()))
        .await;
    assert_eq!(found.header("idempotency-replayed"), "true", "{found:?}");
    assert_eq!(seen.requests.lock().unwrap().len(), 1);

    let streamed = json!({"store": true, "stream": true});
    let request = chat(&gateway, "ana", "stream", "endless", &streamed);
    let response = gateway.router.clone().oneshot(request).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    body.next().await.unwrap().unwrap();
    drop(body);
    let cancelled = tokio::time::timeout(Duration::from_secs(5), seen.cancelled.notified());
    cancelled.await.expect("the orchestrator is told");
    gateway.settle().await;
    let again = gateway
        .send(chat(&gateway, "ana", "stream", "writer", &streamed))
        .await;
    assert_eq!(again.header("idempotency-replayed"), "");
    assert_eq!(again.status, StatusCode::OK);
}

/// A conversation of ana's.
async fn conversation(gateway: &Gateway) -> String {
    let reply = gateway.chat("ana", question("writer", &KEPT())).await;
    let id = reply.json()["lotoai"]["conversation_id"].take();
    format!("/api/conversations/{}", id.as_str().unwrap())
}

/// A success whose request was not there as a whole is held against no other: it is not handled twice.
#[rstest::rstest]
#[case::the_body_breaks_off(true)]
#[case::the_body_is_too_long(false)]
#[tokio::test]
async fn what_took_effect_before_its_body_was_there_is_not_done_again(#[case] breaks_off: bool) {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let delete = |path: &str, key: &str, body: Body| {
        let mut request = gateway.request(Method::DELETE, path, "ana");
        let headers = request.headers_mut();
        headers.insert("idempotency-key", key.parse().unwrap());
        *request.body_mut() = body;
        gateway.send(request)
    };
    let body = || match breaks_off {
        true => {
            let parts = [Ok("x"), Err(std::io::Error::other("cut"))];
            Body::from_stream(futures::stream::iter(parts))
        }
        false => Body::from(vec![b'x'; gateway.state.limits.body_max_bytes() + 1]),
    };
    let path = conversation(&gateway).await;
    assert_eq!(
        delete(&path, "k", body()).await.status,
        StatusCode::NO_CONTENT
    );
    let again = delete(&path, "k", body()).await;
    assert_eq!(code(&again), (409, "idempotency_outcome_unknown".into()));
    // The controls: a whole request has its answer again, and a refused one gives its key back.
    let path = conversation(&gateway).await;
    for replayed in ["", "true"] {
        let reply = delete(&path, "whole", Body::empty()).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT);
        assert_eq!(reply.header("idempotency-replayed"), replayed);
    }
    for _ in 0..2 {
        let refused = delete(&path, "refused", body()).await;
        assert_eq!(code(&refused), (404, "conversation_not_found".into()));
    }
}

#[tokio::test]
async fn what_panicked_is_not_done_again() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let panics = || poll_fn(|_| -> Poll<StatusCode> { panic!("told to panic") });
    let refuses = || std::future::ready(StatusCode::GONE);
    let state = Arc::clone(&gateway.state);
    let router = Router::new()
        .route("/api/panics", post(panics))
        .route("/api/refuses", post(refuses))
        .layer(from_fn(move |request, next: Next| {
            let state = Arc::clone(&state);
            async move { idempotency(&state, request, |request| next.run(request)).await }
        }));
    let send = async |path: &str| {
        let request = Request::post(path).header("idempotency-key", path);
        let mut request = request.body(Body::empty()).unwrap();
        let ana = Identity {
            subject: "ana".to_owned(),
            name: "Ana".to_owned(),
            groups: Vec::new(),
            expires_at: 0,
            issued_at: 0,
            credential: Credential::Token,
        };
        request.extensions_mut().insert(SignedIn(Arc::new(ana)));
        let response = router.clone().oneshot(request).await.unwrap();
        // What gives the key back.
        gateway.settle().await;
        let failure = response.extensions().get::<Failure>();
        let code = failure.map_or_else(String::new, |it| it.code.to_string());
        (response.status().as_u16(), code)
    };
    assert_eq!(send("/api/panics").await, (500, "internal_error".into()));
    let again = send("/api/panics").await;
    assert_eq!(again, (409, "idempotency_outcome_unknown".into()));
    // The control.
    for _ in 0..2 {
        assert_eq!(send("/api/refuses").await, (410, String::new()));
    }
}

#[tokio::test]
async fn what_must_not_be_stored_is_not() {
    let Some((server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let send = || gateway.send(chat(&gateway, "ana", "k", "writer", &json!({})));
    assert_eq!(send().await.status, StatusCode::OK);
    let again = send().await;
    assert_eq!(code(&again), (409, "idempotency_answer_not_kept".into()));
    // Nor does anything lead to it.
    assert_eq!(again.json()["error"].get("answer"), None, "{again:?}");
    assert_eq!(seen.requests.lock().unwrap().len(), 1);
    let row = sqlx::query("select count(body) + count(run_id) from idempotency_keys");
    let row = row.fetch_one(&server.pool()).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
}

/// The first request fails and gives its key back after the second could not take it, and before it
/// looks whose it is.
#[tokio::test]
async fn a_key_that_is_given_back_at_that_moment_is_taken() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let claim = || {
        let lease = Duration::from_secs(60);
        gateway.state.store.claim_key("ana", "k", lease)
    };
    assert_eq!(claim().await.unwrap(), Claim::Claimed);
    // The control: nobody gives it back.
    assert_eq!(claim().await.unwrap(), Claim::Running(None));
    sqlx::raw_sql(
        "create sequence attempts;
         create function give_back() returns trigger language plpgsql as $$
         begin
             if nextval('attempts') = 1 then
                 delete from idempotency_keys;
             end if;
             return null;
         end
         $$;
         create trigger give_back after insert on idempotency_keys
             for each statement execute function give_back();",
    )
    .execute(&server.pool())
    .await
    .unwrap();
    assert_eq!(claim().await.unwrap(), Claim::Claimed);
    assert_eq!(claim().await.unwrap(), Claim::Running(None));
}

/// The client leaves, or the database is silent for too long: the claim is on its way all the same.
#[tokio::test]
async fn a_key_that_is_taken_when_nobody_waits_for_it_any_more_is_given_back() {
    let Some(mut server) = postgres::start_alone() else {
        return;
    };
    // Its connection knows the statement by then.
    let pool = lone(&server);
    let store = Store::new(pool.clone());
    let claim = || store.claim_key("ana", "k", Duration::from_secs(60));
    assert_eq!(claim().await.unwrap(), Claim::Claimed);
    // The control: nobody gives back what somebody answers for.
    assert_eq!(claim().await.unwrap(), Claim::Running(None));
    store.release_key("ana", "k").await.unwrap();
    left_under_way(&mut server, &pool, claim()).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while claim().await.unwrap() != Claim::Claimed {
        assert!(Instant::now() < deadline, "it stays taken");
    }
}

#[tokio::test]
async fn keys_are_bounded_and_need_the_database() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    sqlx::query(
        "insert into idempotency_keys (owner, key, state, lease_until, expires_at)
         select 'ana', 'n' || n, 'unkept', now(), now() + interval '1 hour'
         from generate_series(1, 10000) n",
    )
    .execute(&server.pool())
    .await
    .unwrap();
    let full = gateway
        .send(chat(&gateway, "ana", "new", "writer", &KEPT()))
        .await;
    assert_eq!(code(&full), (429, "too_many_idempotency_keys".into()));
    assert_eq!(full.header("retry-after"), "60");
    // The control: another caller, and a request without a key.
    let other = gateway
        .send(chat(&gateway, "eve", "new", "writer", &KEPT()))
        .await;
    assert_eq!(other.status, StatusCode::OK);
    assert_eq!(
        gateway
            .chat("ana", question("writer", &KEPT()))
            .await
            .status,
        StatusCode::OK
    );
    let reads = gateway.request(Method::GET, "/api/me", "ana");
    let (mut parts, body) = reads.into_parts();
    parts
        .headers
        .insert("idempotency-key", "new".parse().unwrap());
    assert_eq!(
        gateway.send(Request::from_parts(parts, body)).await.status,
        StatusCode::OK
    );

    server.lose();
    let away = gateway
        .send(chat(&gateway, "eve", "k", "probe", &json!({})))
        .await;
    assert_eq!(code(&away), (503, "storage_unavailable".into()));
}
