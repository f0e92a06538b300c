//! Budgets of API keys, for a minute, as people and the database see them; and money with what it
//! takes to read it.

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::{question, stored, used};
use crate::budget::ledger::fold;
use crate::tests::api_keys::{ask, get, make};
use crate::tests::support::{Gateway, Reply};

/// An API key of Ana: its id and its text.
pub(super) async fn key(gateway: &Gateway, name: &str) -> (String, String) {
    let made = make(gateway, "ana", &[], &json!({ "name": name })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let made = made.json();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

fn minute() -> i64 {
    Timestamp::now().as_second().div_euclid(60)
}

/// The answers to so many questions with a key, all of them within one minute of the clock.
async fn within_a_minute(gateway: &Gateway, key: &str, questions: usize) -> Vec<Reply> {
    loop {
        let began = minute();
        let mut replies = Vec::new();
        for _ in 0..questions {
            replies.push(ask(gateway, key, json!({})).await);
        }
        // What was counted in the minute before is not counted in this one.
        if minute() == began {
            return replies;
        }
    }
}

#[tokio::test]
async fn an_api_key_has_a_budget_of_its_own_for_a_minute() {
    let budget = "name: each-key, scope: APIKey, per: Minute, requests: 2";
    let Some((server, gateway, seen)) = stored(&[budget]).await else {
        return;
    };
    let (id, text) = key(&gateway, "busy").await;
    let (_, other) = key(&gateway, "idle").await;
    let replies = within_a_minute(&gateway, &text, 3).await;
    let statuses: Vec<u16> = replies.iter().map(|it| it.status.as_u16()).collect();
    assert_eq!(statuses, [200, 200, 429], "{replies:?}");
    let refused = &replies[2];
    assert_eq!(refused.code(), "budget_exceeded");
    let told = &refused.json()["error"]["budget"];
    for (field, value) in [
        ("name", json!("each-key")),
        ("scope", json!("APIKey")),
        ("subject", json!(id)),
        ("per", json!("Minute")),
        ("kind", json!("requests")),
        ("limit", json!(2)),
    ] {
        assert_eq!(told[field], value, "{field}");
    }
    let resets: Timestamp = told["resets_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(resets.as_second() % 60, 0);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // It is soon over, so clients may ask again by themselves.
    assert_eq!(refused.header("x-should-retry"), "");

    // The controls: another key of the same person, and the person.
    let reply = ask(&gateway, &other, json!({})).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let asked = seen.count();
    let reply = gateway.chat("ana", question("writer", &json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(seen.count(), asked + 1);
    assert!(used(&gateway, "ana").await.is_empty(), "a person has none");

    let rows = sqlx::query(
        "select requests, ends_at - starts_at = interval '1 minute',
                starts_at = date_trunc('minute', starts_at)
         from budget_windows where budget = 'each-key' and subject = $1
         order by starts_at desc",
    )
    .bind(&id)
    .fetch_all(&server.pool())
    .await
    .unwrap();
    assert_eq!(
        rows[0].get::<i64, _>(0),
        2,
        "the refused one counts nowhere"
    );
    let is_a_minute = |row: &PgRow| row.get::<bool, _>(1) && row.get::<bool, _>(2);
    assert!(rows.iter().all(is_a_minute));

    // When the minute is over it is whole again.
    sqlx::query(
        "update budget_windows
         set starts_at = starts_at - interval '1 hour', ends_at = ends_at - interval '1 hour'",
    )
    .execute(&server.pool())
    .await
    .unwrap();
    let reply = ask(&gateway, &text, json!({})).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");

    // Its owner sees what it was used for.
    gateway.settle().await;
    fold(&gateway.state.store).await.unwrap();
    let usage = gateway.get("/api/usage", "ana").await.json();
    let rows = usage["items"].as_array().unwrap().iter();
    let of_key: i64 = rows
        .filter(|row| row["api_key"] == json!(id))
        .map(|row| row["requests"].as_i64().unwrap())
        .sum();
    assert!(of_key >= 3, "{usage}");
}

#[tokio::test]
async fn an_api_key_sees_its_own_budget() {
    let budget = "name: each-key, scope: APIKey, per: Day, requests: 4";
    let Some((_server, gateway, _)) = stored(&[budget]).await else {
        return;
    };
    let (id, text) = key(&gateway, "k").await;
    let reply = ask(&gateway, &text, json!({})).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let list = get(&gateway, "/api/budgets", &text).await.json();
    let item = &list["items"][0];
    assert_eq!(
        (&item["subject"], &item["scope"], &item["per"]),
        (&json!(id), &json!("APIKey"), &json!("Day"))
    );
    assert_eq!(
        (&item["used"], &item["left"], &item["percent"]),
        (
            &json!({ "requests": 1 }),
            &json!({ "requests": 3 }),
            &json!(25)
        )
    );
}

#[tokio::test]
async fn money_is_told_with_its_currency_and_its_decimals() {
    let budget = "name: money, scope: User, per: Month, money: \"0.004\"";
    let Some((_server, gateway, _)) = stored(&[budget]).await else {
        return;
    };
    let reply = gateway.chat("ana", question("writer", &json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let money = |micros: i64, amount: &str| -> Value {
        json!({ "micros": micros, "amount": amount, "currency": "EUR", "decimals": 6 })
    };
    let list = gateway.get("/api/budgets", "ana").await.json();
    let item = &list["items"][0];
    assert_eq!(item["limits"]["money"], money(4_000, "0.004000"));
    // The estimate: 2,014 tokens at 1 and 100 at 10 for a million.
    assert_eq!(item["used"]["money"], money(3_014, "0.003014"));
    assert_eq!(item["left"]["money"], money(986, "0.000986"));
    // So does a refusal.
    let refused = gateway.chat("ana", question("writer", &json!({}))).await;
    assert_eq!(refused.code(), "budget_exceeded", "{refused:?}");
    let told = &refused.json()["error"]["budget"];
    assert_eq!(told["kind"], "money");
    assert_eq!(told["limit"], money(4_000, "0.004000"));
    assert_eq!(told["needed"], money(3_014, "0.003014"));
    // Usage is in millionths, with the currency and the version of the prices.
    gateway.settle().await;
    fold(&gateway.state.store).await.unwrap();
    let request = gateway.request(Method::GET, "/api/usage", "ana");
    let usage = gateway.send(request).await.json();
    let row = &usage["items"][0];
    assert_eq!(
        (&row["micros"], &row["currency"], &row["price_version"]),
        (&json!(44), &json!("EUR"), &json!("2026-11"))
    );
}
