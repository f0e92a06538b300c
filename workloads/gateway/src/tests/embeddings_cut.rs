//! What vectors cost: reserved and settled as answers are, however the call ends.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use wiremock::MockServer;

use super::budgets::used;
use super::ends::{fail, lock, somebody_waits, until};
use super::keys::{Signer, realm};
use super::model_server::{self, MODEL, asked};
use super::postgres;
use super::support::{Gateway, Parts, Reply, config};
use crate::budget::ledger::fold;

const PATH: &str = "/v1/embeddings";
const DAY: &str = "{name: day, scope: User, per: Day, tokens: 1000, requests: 100}";

struct Platform {
    database: postgres::Database,
    gateway: Gateway,
    server: MockServer,
}

impl Platform {
    /// `None`, with the reason printed, when there is no PostgreSQL here. A model that is silent
    /// for a second is too slow.
    async fn start(budgets: &str) -> Option<Self> {
        let database = postgres::start()?;
        let server = model_server::start().await;
        let signer = Signer::ec("key-1");
        let realm = realm(&[&signer]).await;
        let parts = Parts {
            pool: database.pool(),
            budgets: budgets.to_owned(),
            model_server: server.uri(),
            ..Parts::default()
        };
        let mut config = config(&realm.uri(), &parts.orchestrator);
        config.limits.answer_idle_seconds = 1;
        let gateway = Gateway::with_config(&config, parts, realm, signer);
        Some(Self {
            database,
            gateway,
            server,
        })
    }

    async fn embed(&self, input: Value) -> Reply {
        let mut request = self.gateway.request(Method::POST, PATH, "ana");
        let body = json!({ "model": MODEL, "input": input });
        *request.body_mut() = Body::from(body.to_string());
        self.gateway.send(request).await
    }

    /// The only row of Ana's usage.
    async fn usage(&self) -> Value {
        self.gateway.settle().await;
        fold(&self.gateway.state.store).await.unwrap();
        let usage = self.gateway.get("/api/usage", "ana").await.json();
        let rows = usage["items"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows[0].clone()
    }

    /// The records on their way to analytics.
    async fn records(&self) -> Vec<Value> {
        let bodies: Vec<Vec<u8>> = sqlx::query_scalar(
            "select body from outbox where routing_key = 'usage.recorded' order by id",
        )
        .fetch_all(&self.database.pool())
        .await
        .unwrap();
        let parsed = bodies.iter().map(|body| serde_json::from_slice(body));
        parsed.collect::<Result<_, _>>().unwrap()
    }
}

#[tokio::test]
async fn vectors_are_charged_with_what_was_counted() {
    let money = "{name: money, scope: Platform, per: Month, money: \"1\"}";
    let price = format!(
        "{{provider: local, model: {MODEL}, inputPerMillion: \"3\", outputPerMillion: \"0\"}}"
    );
    let budgets = format!(
        "budgets: [{DAY}, {money}]\nprices: {{version: \"1\", currency: EUR, models: [{price}]}}"
    );
    let Some(platform) = Platform::start(&budgets).await else {
        return;
    };
    let reply = platform.embed(json!(["¿Cuántos?", "a"])).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    // Until it is folded, the estimate is held: half the bytes and 8 for each text.
    let held = used(&platform.gateway, "ana").await;
    assert_eq!(held["day"]["tokens"], 6 + 8 + 1 + 8);
    let row = platform.usage().await;
    assert_eq!(
        (&row["provider"], &row["model"]),
        (&json!("local"), &json!(MODEL))
    );
    assert_eq!(
        (&row["input_tokens"], &row["output_tokens"]),
        (&json!(14), &json!(0))
    );
    assert_eq!((&row["requests"], &row["micros"]), (&json!(1), &json!(42)));
    assert_eq!(row["estimated_requests"], 0);
    let charged = used(&platform.gateway, "ana").await;
    assert_eq!(charged["day"], json!({ "requests": 1, "tokens": 14 }));
    assert_eq!(charged["money"]["money"]["micros"], 42);
    let records = platform.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!(
        (&records[0]["route"], &records[0]["outcome"]),
        (&json!("embeddings"), &json!("ok"))
    );
    assert_eq!(records[0]["input_tokens"], 14);
    assert!(!records[0].to_string().contains("Cuántos"));
}

#[tokio::test]
async fn a_budget_that_is_used_up_refuses_and_nobody_is_asked() {
    let budget = "{name: two, scope: User, per: Day, requests: 2, warnAtPercent: 100}";
    let Some(platform) = Platform::start(&format!("budgets: [{budget}]")).await else {
        return;
    };
    let first = platform.embed(json!("a")).await;
    let last = platform.embed(json!("a")).await;
    let over = platform.embed(json!("a")).await;
    assert_eq!(first.header("x-lotoai-budget-warning"), "");
    let warning = last.header("x-lotoai-budget-warning");
    assert!(
        warning.starts_with("two; requests=100%; resets="),
        "{warning}"
    );
    assert_eq!(
        (over.status, over.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "budget_exceeded")
    );
    assert_eq!(over.json()["error"]["budget"]["name"], "two");
    assert_eq!(asked(&platform.server).await.len(), 2);
}

#[tokio::test]
async fn a_price_that_is_not_known_is_refused_where_money_is_limited() {
    let money = "{name: money, scope: User, names: [ana], per: Day, money: \"9\"}";
    let budgets =
        format!("budgets: [{money}]\nprices: {{version: \"1\", currency: EUR, models: []}}");
    let Some(platform) = Platform::start(&budgets).await else {
        return;
    };
    let reply = platform.embed(json!("a")).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::FORBIDDEN, "price_unknown")
    );
    assert!(reply.body.contains(MODEL), "{reply:?}");
    assert!(asked(&platform.server).await.is_empty());
}

#[rstest::rstest]
// Whoever refuses has read nothing.
#[case("busy", "overloaded", 0, 0)]
#[case("fails", "model_server_unavailable", 0, 0)]
// Nobody knows what was read: the estimate stands.
#[case("short", "answer_incomplete", 3 + 8, 1)]
#[case("slow", "answer_timeout", 2 + 8, 1)]
#[tokio::test]
async fn a_call_that_fails_costs_what_was_read(
    #[case] text: &str,
    #[case] code: &str,
    #[case] tokens: u64,
    #[case] estimated: u64,
) {
    let Some(platform) = Platform::start(&format!("budgets: [{DAY}]")).await else {
        return;
    };
    let reply = platform.embed(json!(text)).await;
    assert_eq!(reply.code(), code, "{reply:?}");
    let row = platform.usage().await;
    assert_eq!(
        (&row["input_tokens"], &row["estimated_requests"]),
        (&json!(tokens), &json!(estimated))
    );
    assert_eq!(platform.records().await[0]["outcome"], code);
    let used = used(&platform.gateway, "ana").await;
    assert_eq!(used["day"], json!({ "requests": 1, "tokens": tokens }));
}

/// Of several batches the last one fails: what was counted of the others is charged where the model
/// has read nothing of it, and what was reserved where nobody knows.
#[rstest::rstest]
#[case("busy", "overloaded", 256 * 7, 0)]
#[case("short", "answer_incomplete", 256 * 9 + 3 + 8, 1)]
#[tokio::test]
async fn batches_that_went_well_are_charged(
    #[case] last: &str,
    #[case] code: &str,
    #[case] tokens: u64,
    #[case] estimated: u64,
) {
    let budget = "{name: day, scope: User, per: Day, tokens: 10000, requests: 100}";
    let Some(platform) = Platform::start(&format!("budgets: [{budget}]")).await else {
        return;
    };
    let mut texts = vec!["a"; 256];
    texts.push(last);
    let reply = platform.embed(json!(texts)).await;
    assert_eq!(reply.code(), code, "{reply:?}");
    assert_eq!(asked(&platform.server).await.len(), 2);
    let row = platform.usage().await;
    assert_eq!(
        (&row["input_tokens"], &row["estimated_requests"]),
        (&json!(tokens), &json!(estimated))
    );
}

#[tokio::test]
async fn an_error_that_passes_does_not_cost_the_record() {
    let Some(platform) = Platform::start(&format!("budgets: [{DAY}]")).await else {
        return;
    };
    fail(&platform.database, 1, "40P01").await;
    let reply = platform.embed(json!("a")).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let row = platform.usage().await;
    assert_eq!(
        (&row["requests"], &row["estimated_requests"]),
        (&json!(1), &json!(0)),
        "what was counted is charged"
    );
    assert_eq!(platform.records().await.len(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_is_charged_what_was_reserved() {
    let Some(platform) = Platform::start(&format!("budgets: [{DAY}]")).await else {
        return;
    };
    let mut request = platform.gateway.request(Method::POST, PATH, "ana");
    let body = json!({ "model": MODEL, "input": "slow" });
    *request.body_mut() = Body::from(body.to_string());
    let mut answer = Box::pin(platform.gateway.router.clone().oneshot(request));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while asked(&platform.server).await.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "it was never asked");
        let turn = tokio::time::timeout(Duration::from_millis(5), &mut answer).await;
        assert!(turn.is_err(), "it is not answered yet: {turn:?}");
    }
    drop(answer);
    let row = platform.usage().await;
    assert_eq!(
        (&row["input_tokens"], &row["estimated_requests"]),
        (&json!(10), &json!(1))
    );
    assert_eq!(platform.records().await[0]["outcome"], "cancelled");
}

#[tokio::test]
async fn who_leaves_while_budgets_are_reserved_is_charged_nothing() {
    let Some(platform) = Platform::start(&format!("budgets: [{DAY}]")).await else {
        return;
    };
    let reservations = "lock table budget_windows in exclusive mode";
    let held = lock(&platform.database, reservations).await;
    let mut answer = Box::pin(platform.embed(json!("short")));
    tokio::select! {
        reply = &mut answer => panic!("{reply:?}"),
        () = somebody_waits(&platform.database) => {}
    }
    drop(answer);
    held.rollback().await.unwrap();
    let settled = "select exists (select from spendings where settled)";
    until(&platform.database, settled).await;
    assert_eq!(platform.usage().await["input_tokens"], 0);
    assert_eq!(used(&platform.gateway, "ana").await["day"]["tokens"], 0);
    assert!(asked(&platform.server).await.is_empty());
}

#[tokio::test]
async fn a_stop_ends_the_call_with_a_reason() {
    let Some(platform) = Platform::start(&format!("budgets: [{DAY}]")).await else {
        return;
    };
    platform.gateway.state.ending.cancel();
    let reply = platform.embed(json!("slow")).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "shutting_down")
    );
    assert_eq!(platform.usage().await["requests"], 1);
}
