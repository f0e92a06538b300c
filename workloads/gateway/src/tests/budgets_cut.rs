//! Questions that have no proper end: whatever happens, what they reserved is settled or released.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use lotoai_contracts::events::UsageRecorded;
use serde_json::{Value, json};
use sqlx::Row as _;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::budgets::{question, stored, used};
use super::ends::{lock, somebody_waits, until};
use super::support::Gateway;
use crate::budget::Principal;
use crate::budget::counters::Reserved;
use crate::budget::estimate::Tokens;
use crate::budget::ledger::fold;
use crate::budget::plan::{Plan, Question};
use crate::store::{Asked, NewQuestion, RunEnd};

const DAY: &str = "name: day, scope: User, per: Day, tokens: 1000000, requests: 1000";
const MONEY: &str = "name: money, scope: Platform, per: Month, money: \"10\"";

async fn usage(gateway: &Gateway) -> Vec<Value> {
    fold(&gateway.state.store).await.unwrap();
    let usage = gateway.get("/api/usage", "ana").await.json();
    usage["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_client_that_leaves_is_charged_for_what_the_model_may_have_thought() {
    let Some((_server, gateway, _)) = stored(&[DAY, MONEY]).await else {
        return;
    };
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    *request.body_mut() = Body::from(question("endless", &json!({"stream": true})));
    let response = gateway.router.clone().oneshot(request).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    let mut begun = String::new();
    while !begun.contains("begun") {
        begun.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
    }
    drop(body);
    gateway.settle().await;
    let rows = usage(&gateway).await;
    // "begun" is all that is seen of it. It is charged as it was reserved.
    assert_eq!(
        (&rows[0]["input_tokens"], &rows[0]["output_tokens"]),
        (&json!(2_014), &json!(100))
    );
    assert_eq!(rows[0]["estimated_requests"], 1);
    let used = used(&gateway, "ana").await;
    assert_eq!(used["day"]["tokens"], 2_114);
    assert_eq!(used["money"]["money"]["micros"], 2_014 + 1_000);
}

#[tokio::test]
async fn who_leaves_while_budgets_are_reserved_is_charged_nothing() {
    let Some((server, gateway, seen)) = stored(&[DAY]).await else {
        return;
    };
    let reservations = "lock table budget_windows in exclusive mode";
    let held = lock(&server, reservations).await;
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    *request.body_mut() = Body::from(question("writer", &json!({})));
    let mut answer = Box::pin(gateway.router.clone().oneshot(request));
    tokio::select! {
        answer = &mut answer => panic!("{answer:?}"),
        () = somebody_waits(&server) => {}
    }
    drop(answer);
    held.rollback().await.unwrap();
    // The reservation is made all the same, and is settled long before its lease ends.
    let settled = "select exists (select from spendings where settled)";
    until(&server, settled).await;
    fold(&gateway.state.store).await.unwrap();
    let used = used(&gateway, "ana").await;
    assert_eq!(used["day"]["tokens"], 0);
    assert_eq!(seen.count(), 0);
}

#[tokio::test]
async fn what_waited_too_long_for_a_counter_is_not_stored_later() {
    let Some((server, gateway, _)) = stored(&[DAY]).await else {
        return;
    };
    let ask = || gateway.chat("ana", question("writer", &json!({"store": true})));
    // The first question makes the counter.
    let reply = ask().await;
    assert_eq!(reply.status.as_u16(), 200);
    gateway.settle().await;
    let held = lock(&server, "select from budget_windows for update").await;
    let reply = ask().await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.code()),
        (503, "storage_unavailable")
    );
    held.rollback().await.unwrap();
    let nobody_works = "select not exists (
        select from pg_stat_activity
        where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
          and backend_type = 'client backend')";
    until(&server, nobody_works).await;
    let left = "select (select count(*) from conversations) = 1
                       and not exists (select from spendings where not settled)";
    let is_left = sqlx::query_scalar::<_, bool>(left);
    assert!(is_left.fetch_one(&server.pool()).await.unwrap());
}

#[tokio::test]
async fn what_failed_before_a_model_was_asked_costs_nothing() {
    let Some((_server, gateway, _)) = stored(&[DAY]).await else {
        return;
    };
    let reply = gateway.chat("ana", question("missing", &json!({}))).await;
    assert_eq!(reply.status.as_u16(), 404);
    let reply = gateway.chat("ana", question("breaks", &json!({}))).await;
    assert_eq!(reply.status.as_u16(), 503);
    gateway.settle().await;
    usage(&gateway).await;
    let used = used(&gateway, "ana").await;
    // The one that broke had written "half": it is charged as it was reserved.
    assert_eq!(
        (&used["day"]["requests"], &used["day"]["tokens"]),
        (&json!(2), &json!(2_114))
    );
}

async fn reserve(gateway: &Gateway, plan: &Plan<'_>) -> Reserved {
    let question = NewQuestion {
        talk: None,
        reservation: Some(plan.reservation()),
    };
    match gateway.state.store.ask(question).await.unwrap() {
        Asked::Weighed(reserved) => reserved,
        Asked::NoConversation => panic!("it names none"),
    }
}

fn reservation(gateway: &Gateway) -> Question {
    Question {
        run_id: Uuid::now_v7(),
        principal: Principal {
            user: "ana".into(),
            groups: Vec::new(),
            api_key: None,
        },
        tokens: Tokens {
            input: 70,
            output: 30,
        },
        highest: gateway.state.budgets.table().highest("writer"),
    }
}

#[tokio::test]
async fn what_a_killed_process_reserved_is_charged_when_its_lease_ends() {
    let Some((_server, gateway, _)) = stored(&[DAY, MONEY]).await else {
        return;
    };
    let state = &gateway.state;
    let table = state.budgets.table();
    for lease in [Duration::ZERO, Duration::from_secs(600)] {
        let question = reservation(&gateway);
        let plan = question
            .plan(&table, lease, Timestamp::now())
            .unwrap()
            .unwrap();
        assert!(reserve(&gateway, &plan).await.admitted);
    }
    // Nobody will ever settle them. The one whose lease goes on is left alone.
    assert_eq!(fold(&state.store).await.unwrap(), 1);
    let rows = usage(&gateway).await;
    assert_eq!(
        (&rows[0]["requests"], &rows[0]["estimated_requests"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&rows[0]["input_tokens"], &rows[0]["output_tokens"]),
        (&json!(70), &json!(30))
    );
    assert_eq!(rows[0]["micros"], 70 + 300);
    let used = used(&gateway, "ana").await;
    assert_eq!(
        (&used["day"]["tokens"], &used["day"]["requests"]),
        (&json!(200), &json!(2))
    );
    assert_eq!(used["money"]["money"]["micros"], 740);
}

#[tokio::test]
async fn a_late_end_after_the_lease_is_not_charged_again() {
    let Some((_server, gateway, _)) = stored(&[DAY]).await else {
        return;
    };
    let state = &gateway.state;
    let table = state.budgets.table();
    let question = reservation(&gateway);
    let plan = question
        .plan(&table, Duration::ZERO, Timestamp::now())
        .unwrap()
        .unwrap();
    reserve(&gateway, &plan).await;
    fold(&state.store).await.unwrap();
    let measured = crate::budget::estimate::Measured {
        tokens: Tokens {
            input: 1,
            output: 1,
        },
        model: None,
        asked: true,
        estimated: false,
    };
    let spending = question.clone().spending(measured, &table);
    let end = RunEnd {
        answer: None,
        asked: Vec::new(),
        decided: None,
        stream: None,
        response: None,
        undone: None,
        event: UsageRecorded {
            run_id: spending.run_id.to_string(),
            ended_at: Timestamp::now().to_string(),
            subject: "ana".to_owned(),
            requested_model: "writer".to_owned(),
            model: String::new(),
            provider: String::new(),
            route: "agent".to_owned(),
            outcome: "ok".to_owned(),
            input_tokens: None,
            output_tokens: None,
            first_token_ms: None,
            duration_ms: 0,
        },
        spending: Some(spending),
        is_reserved: true,
    };
    state.store.end_run(Arc::new(end)).await.unwrap();
    assert_eq!(fold(&state.store).await.unwrap(), 0);
    assert_eq!(used(&gateway, "ana").await["day"]["tokens"], 100);
}

/// Gives up a request after every number of steps that it can take, as a killed process does.
#[tokio::test]
async fn given_up_at_any_point_counters_and_usage_agree() {
    let Some((server, gateway, _)) = stored(&[DAY, MONEY]).await else {
        return;
    };
    let pool = server.pool();
    let mut finished = 0;
    for steps in 0_u32.. {
        let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
        *request.body_mut() = Body::from(question("writer", &json!({"store": true})));
        let mut answer = Box::pin(gateway.router.clone().oneshot(request));
        let mut done = false;
        for _ in 0..steps {
            done = (&mut answer).now_or_never().is_some();
            if done {
                break;
            }
            // Lets the sockets move.
            tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>())
                .await
                .unwrap_err();
        }
        drop(answer);
        finished += u32::from(done);
        if finished == 3 {
            break;
        }
    }
    gateway.settle().await;
    // What was given up between reservation and answer ends with its lease.
    sqlx::query("update spendings set lease_until = now()")
        .execute(&pool)
        .await
        .unwrap();
    fold(&gateway.state.store).await.unwrap();
    let row = sqlx::query(
        "select (select count(*) from spendings),
                (select sum(requests)::bigint from usage_days),
                (select sum(input_tokens + output_tokens)::bigint from usage_days),
                (select sum(micros)::bigint from usage_days)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(row.get::<i64, _>(0), 0, "everything is settled");
    let (requests, tokens, micros): (i64, i64, i64) = (row.get(1), row.get(2), row.get(3));
    assert!(requests >= 3);
    let used = used(&gateway, "ana").await;
    assert_eq!(used["day"], json!({"requests": requests, "tokens": tokens}));
    assert_eq!(used["money"]["money"]["micros"], micros);
}
