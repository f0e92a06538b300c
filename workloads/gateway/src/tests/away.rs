//! What is acknowledged is there, and what cannot be done is refused soon and typed.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::{Value, json};

use super::api_keys::{bearing, key};
use super::budgets::{self, question};
use super::support::{Gateway, Parts, Reply};
use super::{orchestrator, postgres};
use crate::outbox::{Publish, relay_batch};
use crate::store::OutboxRow;

/// A statement, and what is beside it.
const SOON: Duration = Duration::from_secs(5);

async fn soon(reply: impl Future<Output = Reply>) -> Reply {
    let began = Instant::now();
    let reply = reply.await;
    assert!(began.elapsed() < SOON, "{:?}: {reply:?}", began.elapsed());
    reply
}

fn away(reply: &Reply) {
    let status = reply.status.as_u16();
    assert_eq!(
        (status, reply.code().as_str()),
        (503, "storage_unavailable"),
        "{reply:?}"
    );
    assert_eq!(reply.header("retry-after"), "2", "{reply:?}");
}

fn upload(gateway: &Gateway, name: &str) -> axum::http::Request<Body> {
    let mut request = gateway.request(Method::POST, "/api/documents", "ana");
    let kind = "multipart/form-data; boundary=b".parse().unwrap();
    request.headers_mut().insert("content-type", kind);
    *request.body_mut() = Body::from(format!(
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n\
         text\r\n--b--\r\n"
    ));
    request
}

/// Everything that needs the database, at once, on a gateway that could reach it before.
async fn everything_is_away(gateway: &Gateway, program: &str) {
    let ask = |more: &Value| {
        let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
        *request.body_mut() = Body::from(question("lotoai", more));
        request
    };
    let mut keyed = ask(&json!({}));
    let headers = keyed.headers_mut();
    headers.insert("idempotency-key", "k".parse().unwrap());
    let id = uuid::Uuid::now_v7();
    let mut requests = vec![
        ask(&json!({"store": true})),
        ask(&json!({"store": true, "stream": true})),
        ask(&json!({
            "store": true, "stream": true, "stream_options": {"resumable": true},
        })),
        keyed,
        upload(gateway, "b.txt"),
        // Whom a key belongs to cannot be looked up either.
        bearing(Method::GET, "/v1/models", program),
    ];
    let others = [
        (Method::GET, "/api/conversations".to_owned()),
        (Method::GET, format!("/api/conversations/{id}")),
        (Method::GET, format!("/api/conversations/{id}/messages")),
        (Method::DELETE, format!("/api/conversations/{id}")),
        (Method::GET, "/api/documents".to_owned()),
        (Method::GET, format!("/api/approvals/{id}")),
        (Method::DELETE, format!("/api/documents/{id}")),
        (Method::GET, "/api/usage".to_owned()),
        (Method::GET, "/api/usage/totals".to_owned()),
        (Method::GET, "/api/keys".to_owned()),
        (Method::GET, format!("/v1/chat/completions/{id}/stream")),
        (Method::POST, format!("/v1/chat/completions/{id}/cancel")),
        (Method::GET, format!("/v1/responses/resp_{id}")),
        (Method::GET, format!("/v1/responses/resp_{id}/input_items")),
        (Method::DELETE, format!("/v1/responses/resp_{id}")),
    ];
    for (method, path) in others {
        requests.push(gateway.request(method, &path, "ana"));
    }
    let replies = requests
        .into_iter()
        .map(|request| soon(gateway.send(request)));
    join_all(replies).await.iter().for_each(away);
    // The control: what needs no database is answered.
    let reply = gateway.chat("ana", question("lotoai", &json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let reply = gateway.get("/v1/models", "ana").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}

async fn acknowledged(gateway: &Gateway) -> (Vec<String>, Value) {
    let conversations = gateway.get("/api/conversations", "ana").await.json();
    let ids = conversations["items"].as_array().unwrap().iter();
    let ids = ids.map(|it| it["id"].as_str().unwrap().to_owned());
    let documents = gateway.get("/api/documents", "ana").await.json();
    (ids.collect(), documents["items"].clone())
}

/// Asks and uploads; all that is acknowledged.
async fn something_is_kept(gateway: &Gateway) -> (Vec<String>, Value) {
    let stored = question("lotoai", &json!({"store": true}));
    let reply = gateway.chat("ana", stored).await;
    assert_eq!(reply.status, StatusCode::OK);
    let reply = gateway.send(upload(gateway, "a.txt")).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    acknowledged(gateway).await
}

/// It is back by itself, with all that was acknowledged and nothing that was refused.
async fn it_comes_back(gateway: &Gateway, before: &(Vec<String>, Value)) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while gateway.get("/api/conversations", "ana").await.status != StatusCode::OK {
        assert!(Instant::now() < deadline, "it does not come back");
    }
    assert_eq!(&acknowledged(gateway).await, before);
    let reply = gateway.send(upload(gateway, "b.txt")).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
}

#[tokio::test]
async fn a_database_that_hangs_is_a_503_soon_and_nothing_is_lost() {
    let Some((mut server, gateway, _)) = Gateway::answering_alone().await else {
        return;
    };
    let program = key(&gateway, "ana", &[], &json!({"name": "program"})).await;
    let before = something_is_kept(&gateway).await;

    server.server().freeze();
    everything_is_away(&gateway, &program).await;
    server.server().thaw();

    it_comes_back(&gateway, &before).await;
}

#[tokio::test]
async fn a_database_that_is_gone_is_a_503_soon_and_nothing_is_lost() {
    let Some((mut server, gateway, _)) = Gateway::answering_alone().await else {
        return;
    };
    let program = key(&gateway, "ana", &[], &json!({"name": "program"})).await;
    let before = something_is_kept(&gateway).await;

    server.server().kill();
    everything_is_away(&gateway, &program).await;
    server.server().restart().await;

    it_comes_back(&gateway, &before).await;
}

/// What spends, or would when it is let: each stands before a model in another way.
fn spending(gateway: &Gateway, program: &str) -> Vec<axum::http::Request<Body>> {
    let path = "/v1/chat/completions";
    let asking = |mut request: axum::http::Request<Body>, more: &Value| {
        *request.body_mut() = Body::from(question("writer", more));
        request
    };
    let person = || gateway.request(Method::POST, path, "ana");
    let mut keyed = person();
    let headers = keyed.headers_mut();
    headers.insert("idempotency-key", "spend once".parse().unwrap());
    vec![
        asking(person(), &json!({})),
        asking(person(), &json!({"stream": true})),
        asking(person(), &json!({"store": true})),
        asking(keyed, &json!({})),
        asking(bearing(Method::POST, path, program), &json!({})),
    ]
}

/// G5 of the reliability goals.
#[rstest::rstest]
#[case::hangs(false)]
#[case::is_gone(true)]
#[tokio::test]
async fn without_a_database_nothing_is_spent_and_that_is_told_within_a_second(
    #[case] is_gone: bool,
) {
    const SECOND: Duration = Duration::from_secs(1);
    let Some(mut server) = postgres::start_alone() else {
        return;
    };
    let (orchestrator, seen) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        pool: server.pool(),
        budgets: budgets::budgets(&["name: a, scope: Platform, per: Day, requests: 99"]),
        ..Parts::default()
    };
    let gateway = Gateway::start(parts).await;
    let program = key(&gateway, "ana", &[], &json!({"name": "program"})).await;
    // The control, which leaves connections behind.
    let reply = gateway.chat("ana", question("writer", &json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let asked = seen.count();
    if is_gone {
        server.server().kill();
    } else {
        server.server().freeze();
    }
    // The machine may be busy with other tests: the quickest of three counts.
    let mut quickest = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        let requests = spending(&gateway, &program).into_iter();
        let replies = join_all(requests.map(|request| gateway.send(request))).await;
        quickest = quickest.min(began.elapsed());
        replies.iter().for_each(away);
    }
    assert!(quickest < SECOND, "{quickest:?}");
    assert_eq!(seen.count(), asked, "no model is asked");
    if !is_gone {
        server.server().thaw();
    }
}

#[tokio::test]
async fn a_database_that_is_only_busy_is_waited_for() {
    let limit = "name: a, scope: Platform, per: Day, requests: 99";
    let Some((server, gateway, _)) = budgets::stored(&[limit]).await else {
        return;
    };
    let pool = server.pool();
    let mut busy = lotoai_kit::postgres::begin(&pool).await.unwrap();
    sqlx::query("lock table budget_windows in exclusive mode")
        .execute(&mut *busy)
        .await
        .unwrap();
    let body = question("writer", &json!({}));
    let mut reply = std::pin::pin!(gateway.chat("ana", body));
    // Longer than a database that is away is waited for, and nothing else is answered meanwhile.
    let early = tokio::time::timeout(Duration::from_secs(1), &mut reply).await;
    assert!(early.is_err(), "{early:?}");
    busy.rollback().await.unwrap();
    let reply = reply.await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}

/// A broker that is away, and later is not.
struct Broker(bool);

impl Publish for Broker {
    async fn publish(&self, events: &[OutboxRow]) -> (usize, Result<(), String>) {
        match self.0 {
            true => (events.len(), Ok(())),
            false => (0, Err("away".to_owned())),
        }
    }
}

#[tokio::test]
async fn without_a_broker_everything_is_taken_and_its_events_wait() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let store = &gateway.state.store;
    for name in ["a.txt", "b.txt"] {
        let reply = soon(gateway.send(upload(&gateway, name))).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
        let progress = relay_batch(store, &Broker(false)).await.unwrap();
        assert_eq!(
            (progress.relayed, progress.failed),
            (0, Some("away".to_owned()))
        );
    }
    let stored = question("lotoai", &json!({"store": true}));
    let reply = soon(gateway.chat("ana", stored)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(store.outbox_backlog().await.unwrap(), 3);
    assert_eq!(relay_batch(store, &Broker(true)).await.unwrap().relayed, 3);
    assert_eq!(store.outbox_backlog().await.unwrap(), 0);
}
