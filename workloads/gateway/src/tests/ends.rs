//! Ends of answers, and a database that is away meanwhile: none is lost, stored twice or told
//! otherwise than it is.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use futures::StreamExt as _;
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};
use tower::ServiceExt as _;

use super::budgets::question;
use super::orchestrator::{self, Seen};
use super::postgres;
use super::support::{Gateway, Parts};
use crate::domain::chat_request::ChatRequest;
use crate::domain::run::Run;
use crate::domain::transcript::Step;
use crate::identity::{Credential, Identity};

const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);
/// Longer than a statement may take.
const LONG: Duration = Duration::from_secs(4);

async fn within<T>(future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.expect("it happens in time")
}

/// Keeps every end from being stored, until it is rolled back.
pub(super) async fn hold_back(server: &postgres::Database) -> Transaction<'static, Postgres> {
    lock(server, "lock table outbox in access exclusive mode").await
}

/// Holds what the statement locks, until it is rolled back.
pub(super) async fn lock(
    server: &postgres::Database,
    statement: impl sqlx::SqlSafeStr,
) -> Transaction<'static, Postgres> {
    let mut held = lotoai_kit::postgres::begin(&server.pool()).await.unwrap();
    sqlx::query(statement).execute(&mut *held).await.unwrap();
    held
}

/// Has so many attempts to store an end fail with this code.
pub(super) async fn fail(server: &postgres::Database, times: u32, code: &str) {
    // What a sequence counts stays counted when the transaction is undone.
    let failing = format!(
        "create sequence attempts;
         create function fail() returns trigger language plpgsql as $$
         begin
             if nextval('attempts') <= {times} then
                 raise exception 'not now' using errcode = '{code}';
             end if;
             return new;
         end
         $$;
         create trigger fail before insert on outbox for each row execute function fail();"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(failing))
        .execute(&server.pool())
        .await
        .unwrap();
}

/// Until somebody waits for what is locked.
pub(super) async fn somebody_waits(server: &postgres::Database) {
    until(
        server,
        "select exists (select from pg_stat_activity
                        where datname = current_database() and wait_event_type = 'Lock')",
    )
    .await;
}

/// Until a statement gives true.
pub(super) async fn until(server: &postgres::Database, statement: &'static str) {
    let pool = server.pool();
    let asking = async {
        while !sqlx::query_scalar::<_, bool>(statement)
            .fetch_one(&pool)
            .await
            .unwrap()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(asking).await;
}

async fn start(storing: Duration) -> Option<(postgres::Database, Gateway, Arc<Seen>)> {
    let (orchestrator, seen) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        storing,
        ..Parts::default()
    };
    let (server, gateway) = Gateway::stored(parts).await?;
    Some((server, gateway, seen))
}

fn ask(gateway: &Gateway, model: &str, stream: bool) -> Request<Body> {
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    let headers = request.headers_mut();
    headers.insert("idempotency-key", "k".parse().unwrap());
    let body = question(model, &json!({"store": true, "stream": stream}));
    *request.body_mut() = Body::from(body);
    request
}

/// The messages of the only conversation.
async fn messages(gateway: &Gateway) -> Vec<Value> {
    let list = gateway.get("/api/conversations", "ana").await.json();
    let id = list["items"][0]["id"].as_str().unwrap();
    let path = format!("/api/conversations/{id}");
    let conversation = gateway.get(&path, "ana").await.json();
    conversation["messages"].as_array().unwrap().clone()
}

/// Ana's question, whose answer is stored.
async fn begin(gateway: &Gateway) -> Run {
    let body = question("writer", &json!({"store": true}));
    let request = Arc::new(ChatRequest::parse(body.as_bytes()).unwrap());
    let identity = Identity {
        subject: "ana".to_owned(),
        name: "Ana".to_owned(),
        groups: Vec::new(),
        expires_at: 0,
        issued_at: 0,
        credential: Credential::Token,
    };
    let run = Run::begin(Arc::clone(&gateway.state), &identity, &request).await;
    run.unwrap()
}

#[tokio::test]
async fn who_gives_up_waiting_for_the_end_finds_it_later_and_once() {
    let Some((server, gateway, _)) = start(PATIENCE).await else {
        return;
    };
    let mut run = begin(&gateway).await;
    let held = hold_back(&server).await;
    let waiting = async { while run.next().await.unwrap() != Step::Finished {} };
    tokio::select! {
        () = waiting => panic!("it is told before it is stored"),
        () = somebody_waits(&server) => {}
    }
    held.rollback().await.unwrap();
    for _ in 0..2 {
        assert_eq!(within(run.next()).await, Ok(Step::Finished));
    }
    drop(run);
    gateway.settle().await;
    let messages = messages(&gateway).await;
    assert_eq!(
        (messages.len(), &messages[1]["outcome"]),
        (2, &json!("ok")),
        "{messages:?}"
    );
    let events = gateway.state.store.outbox_backlog().await.unwrap();
    assert_eq!(events, 1);
}

/// An attempt was stored though its answer was lost, and what it charged is folded since.
#[rstest::rstest]
#[case::stored_before(true, 0)]
#[case::the_control(false, 1)]
#[tokio::test]
async fn an_end_that_was_stored_before_is_not_charged_again(
    #[case] before: bool,
    #[case] expected: i64,
) {
    let Some((server, gateway, _)) = start(PATIENCE).await else {
        return;
    };
    let mut run = begin(&gateway).await;
    if before {
        sqlx::query(
            "insert into messages (id, conversation_id, role, content, run_id, outcome)
             values (gen_random_uuid(), $1, 'assistant', 'uno', $2, 'ok')",
        )
        .bind(run.conversation_id)
        .bind(run.id)
        .execute(&server.pool())
        .await
        .unwrap();
        fail(&server, 1, "40001").await;
    }
    while within(run.next()).await.unwrap() != Step::Finished {}
    gateway.settle().await;
    let charged: i64 = sqlx::query_scalar("select count(*) from spendings")
        .fetch_one(&server.pool())
        .await
        .unwrap();
    let events = gateway.state.store.outbox_backlog().await.unwrap();
    assert_eq!((charged, events), (expected, expected));
    assert_eq!(messages(&gateway).await.len(), 2);
}

/// What passes is tried again, and what does not pass is not.
#[rstest::rstest]
#[case::a_conflict("40001", 1, 200)]
#[case::a_deadlock("40P01", 2, 200)]
#[case::an_idle_transaction("25P03", 1, 200)]
#[case::a_lock("55P03", 1, 200)]
#[case::a_row_that_went("23503", 1, 200)]
#[case::a_row_that_is_not_there("23503", 2, 500)]
#[case::the_control("23514", 1, 500)]
#[tokio::test]
async fn an_error_that_passes_does_not_cost_the_answer(
    #[case] code: &str,
    #[case] times: u32,
    #[case] status: u16,
) {
    let Some((server, gateway, _)) = start(PATIENCE).await else {
        return;
    };
    fail(&server, times, code).await;
    let reply = within(gateway.send(ask(&gateway, "writer", false))).await;
    assert_eq!(reply.status.as_u16(), status, "{reply:?}");
    gateway.settle().await;
    let stored = messages(&gateway).await.len() == 2;
    let events = gateway.state.store.outbox_backlog().await.unwrap();
    assert_eq!((stored, events == 1), (status == 200, status == 200));
}

#[tokio::test]
async fn a_whole_answer_outlasts_a_database_that_is_away_for_a_moment() {
    let Some((mut server, gateway, seen)) = Gateway::answering_alone().await else {
        return;
    };
    let mut answer = Box::pin(gateway.send(ask(&gateway, "told", false)));
    tokio::select! {
        reply = &mut answer => panic!("{reply:?}"),
        () = seen.asked(1) => {}
    }
    server.server().freeze();
    seen.tell(0, Some("uno"));
    seen.tell(0, None);
    let early = tokio::time::timeout(LONG, &mut answer).await;
    server.server().thaw();
    assert!(early.is_err(), "{early:?}");
    let reply = within(answer).await;
    assert_eq!(reply.status.as_u16(), 200, "{reply:?}");
    let messages = messages(&gateway).await;
    assert_eq!(
        (&messages[1]["content"], &messages[1]["outcome"]),
        (&json!("uno"), &json!("ok"))
    );
}

#[rstest::rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test]
async fn an_answer_that_is_not_stored_in_time_says_so_and_is_stored_later(#[case] stream: bool) {
    let Some((server, gateway, seen)) = start(SHORT).await else {
        return;
    };
    let held = hold_back(&server).await;
    let reply = within(gateway.send(ask(&gateway, "writer", stream))).await;
    let code = "\"code\":\"answer_not_stored\"";
    assert!(reply.body.contains(code), "{reply:?}");
    assert!(!reply.body.contains("\"finish_reason\":\"stop\""));
    if !stream {
        assert_eq!(reply.status.as_u16(), 503);
        // A client that asks again by itself would have two answers.
        assert_eq!(reply.header("x-should-retry"), "false");
    }
    held.rollback().await.unwrap();
    gateway.settle().await;
    let messages = messages(&gateway).await;
    assert_eq!(messages[1]["outcome"], "ok", "{messages:?}");
    // It took effect: there is no second answer under the same key.
    let again = gateway.send(ask(&gateway, "writer", stream)).await;
    assert_eq!(again.code(), "idempotency_answer_not_kept", "{again:?}");
    assert_eq!(seen.count(), 1);
}

/// Of an answer that is stored nowhere and counts in no budget only the usage is written. The control
/// is the test above: what is stored is waited for.
#[rstest::rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test]
async fn an_answer_that_leaves_nothing_does_not_wait_for_the_database(#[case] stream: bool) {
    let Some((server, gateway, _)) = start(PATIENCE).await else {
        return;
    };
    let held = hold_back(&server).await;
    let body = question("writer", &json!({"store": false, "stream": stream}));
    let reply = within(gateway.chat("ana", body)).await;
    assert_eq!(reply.status.as_u16(), 200, "{reply:?}");
    somebody_waits(&server).await;
    held.rollback().await.unwrap();
    gateway.settle().await;
    assert_eq!(gateway.state.store.outbox_backlog().await.unwrap(), 1);
}

#[tokio::test]
async fn a_stop_of_the_process_tells_the_end_before_it_is_stored() {
    let Some((server, gateway, _)) = start(PATIENCE).await else {
        return;
    };
    let held = hold_back(&server).await;
    let mut answer = Box::pin(gateway.send(ask(&gateway, "writer", false)));
    tokio::select! {
        reply = &mut answer => panic!("{reply:?}"),
        () = somebody_waits(&server) => {}
    }
    gateway.state.ending.cancel();
    // Three seconds are left of a stop by then.
    let reply = tokio::time::timeout(Duration::from_secs(3), answer).await;
    assert_eq!(reply.unwrap().code(), "answer_not_stored");
    held.rollback().await.unwrap();
    gateway.settle().await;
    assert_eq!(messages(&gateway).await[1]["outcome"], "ok");
}

#[tokio::test]
async fn who_leaves_while_the_end_is_being_stored_is_not_answered_again() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let held = hold_back(&server).await;
    let response = gateway
        .router
        .clone()
        .oneshot(ask(&gateway, "writer", true));
    let mut body = response.await.unwrap().into_body().into_data_stream();
    let reading = async { while body.next().await.is_some() {} };
    tokio::select! {
        () = reading => panic!("the end is told before it is stored"),
        () = somebody_waits(&server) => {}
    }
    drop(body);
    held.rollback().await.unwrap();
    gateway.settle().await;
    let again = gateway.send(ask(&gateway, "writer", true)).await;
    assert_eq!(again.code(), "idempotency_answer_not_kept", "{again:?}");
    let place = again.json()["error"]["answer"].clone();
    assert_eq!(place["run_id"], messages(&gateway).await[1]["run_id"]);
    assert_eq!(seen.count(), 1);
}
