//! Budgets over a real PostgreSQL. What two processes spend of one is in `tests/processes`.

mod cells;
mod keys;
mod statements;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Row as _;

use super::orchestrator::{self, Seen};
use super::postgres;
use super::support::{Gateway, Parts, Reply};
use crate::budget::ledger::fold;

pub(super) const PRICES: &str = r#"
prices:
  version: "2026-11"
  currency: EUR
  models:
    - {provider: openai, model: gpt, inputPerMillion: "1", outputPerMillion: "10"}
    - {provider: local, model: extractive, inputPerMillion: "2", outputPerMillion: "4"}
roles:
  - {name: writer, models: [{provider: openai, model: gpt}]}
  - {name: breaks, models: [{provider: openai, model: gpt}]}
  - {name: endless, models: [{provider: openai, model: gpt}]}
  - {name: unpriced, models: [{provider: local, model: other}]}
"#;

pub(super) fn budgets(list: &[&str]) -> String {
    let entries: Vec<String> = list
        .iter()
        .map(|entry| format!("  - {{{entry}}}\n"))
        .collect();
    format!("{PRICES}budgets:\n{}", entries.concat())
}

pub(super) fn question(model: &str, more: &Value) -> String {
    let mut body = json!({
        "model": model, "store": false, "max_tokens": 100,
        "messages": [{"role": "user", "content": "¿Cuántos?"}],
    });
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    body.to_string()
}

/// A gateway with a database; `None`, with the reason printed, when there is no PostgreSQL here.
pub(super) async fn stored(list: &[&str]) -> Option<(postgres::Database, Gateway, Arc<Seen>)> {
    let (orchestrator, seen) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        budgets: budgets(list),
        ..Parts::default()
    };
    let (server, gateway) = Gateway::stored(parts).await?;
    Some((server, gateway, seen))
}

/// Everything that was used of the budgets of `subject`, by name.
pub(super) async fn used(gateway: &Gateway, subject: &str) -> BTreeMap<String, Value> {
    let list = gateway.get("/api/budgets", subject).await.json();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|it| (it["name"].as_str().unwrap().to_owned(), it["used"].clone()))
        .collect()
}

async fn number(server: &postgres::Database, statement: &'static str) -> i64 {
    let row = sqlx::query(statement).fetch_one(&server.pool()).await;
    row.unwrap().get(0)
}

#[tokio::test]
async fn an_answer_is_charged_with_what_was_counted() {
    let Some((_server, gateway, _)) = stored(&[
        "name: tokens, scope: User, per: Day, tokens: 10000",
        "name: money, scope: Platform, per: Month, money: \"1\"",
    ])
    .await
    else {
        return;
    };
    let reply = gateway.chat("ana", question("writer", &json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    // Until it is folded, the whole estimate is held: bytes/2 + 8 + 2,000 read, 100 written.
    let held = used(&gateway, "ana").await;
    assert_eq!(held["tokens"]["tokens"], 2_114);
    assert_eq!(held["money"]["money"]["micros"], 2_014 + 1_000);

    assert_eq!(fold(&gateway.state.store).await.unwrap(), 1);
    let charged = used(&gateway, "ana").await;
    // The fake counts 12 and 5 tokens of local/extractive.
    assert_eq!(charged["tokens"]["tokens"], 17);
    assert_eq!(charged["money"]["money"]["micros"], 12 * 2 + 5 * 4);
    assert_eq!(charged["money"]["money"]["amount"], "0.000044");
    assert_eq!(charged["money"]["money"]["currency"], "EUR");
    assert_eq!(charged["money"]["money"]["decimals"], 6);

    let usage = gateway.get("/api/usage", "ana").await.json();
    let row = &usage["items"][0];
    assert_eq!(
        (&row["model"], &row["requests"]),
        (&json!("extractive"), &json!(1))
    );
    assert_eq!(
        (&row["input_tokens"], &row["output_tokens"]),
        (&json!(12), &json!(5))
    );
    assert_eq!(
        (&row["micros"], &row["price_version"]),
        (&json!(44), &json!("2026-11"))
    );
    assert_eq!(
        (&row["estimated_requests"], &row["unpriced_requests"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(used(&gateway, "eve").await["tokens"]["tokens"], 0);
}

#[tokio::test]
async fn a_refused_question_leaves_nothing_and_the_last_one_warns() {
    let Some((server, gateway, seen)) =
        stored(&["name: two, scope: User, per: Day, requests: 2, warnAtPercent: 100"]).await
    else {
        return;
    };
    let ask = || gateway.chat("ana", question("writer", &json!({"store": true})));
    let (first, last, over) = (ask().await, ask().await, ask().await);
    assert_eq!(first.header("x-lotoai-budget-warning"), "");
    let warning = last.header("x-lotoai-budget-warning");
    assert!(
        warning.starts_with("two; requests=100%; resets="),
        "{warning}"
    );
    assert_eq!(over.status, StatusCode::TOO_MANY_REQUESTS);
    let conversations = number(&server, "select count(*) from conversations").await;
    assert_eq!((conversations, seen.requests.lock().unwrap().len()), (2, 2));
    // Somebody else's budget is another one, and the probe counts nowhere.
    let other = gateway.chat("eve", question("writer", &json!({}))).await;
    assert_eq!(other.status, StatusCode::OK);
    assert_eq!(
        gateway
            .chat("ana", question("probe", &json!({})))
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn of_several_budgets_all_or_none_are_reserved() {
    let Some((_server, gateway, _)) = stored(&[
        "name: wide, scope: Platform, per: Day, requests: 100, tokens: 1000000",
        "name: narrow, scope: Group, names: [hr], per: Day, requests: 1",
    ])
    .await
    else {
        return;
    };
    let ask = async |groups: &[&str]| {
        let path = "/v1/chat/completions";
        let mut request = gateway.request_in(Method::POST, path, "ana", groups);
        *request.body_mut() = question("writer", &json!({})).into();
        gateway.send(request).await.status.as_u16()
    };
    assert_eq!(
        [ask(&["hr"]).await, ask(&["hr"]).await, ask(&["it"]).await],
        [200, 429, 200]
    );
    fold(&gateway.state.store).await.unwrap();
    let used = used(&gateway, "ana").await;
    assert_eq!(
        (&used["wide"]["requests"], &used["wide"]["tokens"]),
        (&json!(2), &json!(34))
    );
}

#[tokio::test]
async fn an_unknown_price_is_refused_or_counted_as_unknown() {
    let Some((_server, gateway, seen)) = stored(&[
        "name: money, scope: User, names: [ana], per: Day, money: \"9\"",
        "name: soft, scope: User, names: [eve], per: Day, money: \"9\", unknownPrice: Warn",
    ])
    .await
    else {
        return;
    };
    let reply = gateway.chat("ana", question("unpriced", &json!({}))).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (403, "price_unknown")
    );
    assert!(seen.requests.lock().unwrap().is_empty());
    let reply = gateway.chat("eve", question("unpriced", &json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        reply.header("x-lotoai-budget-warning"),
        "soft; money=unknown"
    );
    // The control: nobody limits the money of bob.
    assert_eq!(
        gateway
            .chat("bob", question("unpriced", &json!({})))
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn without_a_database_nothing_is_spent() {
    let (orchestrator, seen) = orchestrator::start().await;
    let parts = |budgets: String| Parts {
        orchestrator: orchestrator.clone(),
        budgets,
        ..Parts::default()
    };
    let limited = budgets(&["name: a, scope: Platform, per: Day, requests: 9"]);
    let gateway = Gateway::start(parts(limited)).await;
    let reply = gateway.chat("ana", question("writer", &json!({}))).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (503, "storage_unavailable")
    );
    assert_eq!(reply.header("retry-after"), "2");
    assert!(seen.requests.lock().unwrap().is_empty());
    // The control: what counts in no budget needs no database.
    let gateway = Gateway::start(parts(String::new())).await;
    let reply = gateway.chat("ana", question("writer", &json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn people_see_their_own_and_administrators_all() {
    let Some((_server, gateway, _)) =
        stored(&["name: each, scope: User, per: Day, requests: 9"]).await
    else {
        return;
    };
    for subject in ["ana", "eve"] {
        gateway.chat(subject, question("writer", &json!({}))).await;
    }
    fold(&gateway.state.store).await.unwrap();
    let get = |path: &'static str, groups: &'static [&'static str]| {
        gateway.send(gateway.request_in(Method::GET, path, "ana", groups))
    };
    let subjects = |reply: &Reply| -> Vec<String> {
        let mut subjects: Vec<String> = reply.json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["subject"].as_str().unwrap().to_owned())
            .collect();
        subjects.sort();
        subjects
    };
    for path in ["/api/budgets", "/api/usage"] {
        assert_eq!(subjects(&get(path, &["admins"]).await), ["ana"], "{path}");
    }
    for path in ["/api/budgets?all=true", "/api/usage?all=true"] {
        assert_eq!(
            subjects(&get(path, &["admins"]).await),
            ["ana", "eve"],
            "{path}"
        );
        let refused = get(path, &[]).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (403, "admins_only")
        );
    }
    assert_eq!(
        subjects(&get("/api/usage?subject=eve", &["admins"]).await),
        ["eve"]
    );
    assert_eq!(
        get("/api/usage?subject=eve", &[]).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        get("/api/usage?subject=ana", &[]).await.status,
        StatusCode::OK
    );

    // Pages hold all, each once.
    let mut found = Vec::new();
    for list in ["/api/usage", "/api/budgets"] {
        let mut path = format!("{list}?all=true&limit=1");
        loop {
            let request = gateway.request_in(Method::GET, &path, "ana", &["admins"]);
            let page = gateway.send(request).await;
            found.extend(subjects(&page));
            let page = page.json();
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("{list}?all=true&limit=1&cursor={cursor}");
        }
    }
    found.sort();
    assert_eq!(found, ["ana", "ana", "eve", "eve"]);
    let forged = gateway
        .get("/api/usage?cursor=eyJkYXkiOiJ4IiwiaWQiOjF9", "ana")
        .await;
    assert_eq!(
        (forged.status.as_u16(), forged.code().as_str()),
        (400, "invalid_value")
    );
}
