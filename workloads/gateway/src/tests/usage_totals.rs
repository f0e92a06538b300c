//! Usage, added up by a real PostgreSQL.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{Gateway, Parts};
use crate::retention;

/// Four days of two people over a change of month, with two models and two currencies.
pub(super) const USAGE: &str = "
    insert into usage_days (day, subject, api_key, provider, model, currency, price_version,
                            requests, input_tokens, output_tokens, micros, unpriced, estimated)
    values ('2026-10-31', 'ana', '', 'openai', 'gpt', 'EUR', '1', 1, 10, 1, 100, 0, 0),
           ('2026-11-01', 'ana', '', 'openai', 'gpt', 'EUR', '1', 2, 20, 2, 200, 0, 1),
           ('2026-11-01', 'ana', 'k1', 'openai', 'gpt', 'EUR', '2', 3, 30, 3, 300, 1, 0),
           ('2026-11-02', 'ana', '', 'local', 'small', 'EUR', '1', 4, 400, 4, 0, 4, 0),
           ('2026-11-02', 'ana', '', 'openai', 'gpt', 'USD', '1', 5, 50, 5, 500, 0, 0),
           ('2026-11-02', 'eve', '', 'openai', 'gpt', 'EUR', '1', 6, 60, 6, 600, 0, 0)";

async fn stored() -> Option<(super::postgres::Database, Gateway)> {
    let (server, gateway) = Gateway::stored(Parts::default()).await?;
    sqlx::query(USAGE).execute(&server.pool()).await.unwrap();
    Some((server, gateway))
}

async fn sums(gateway: &Gateway, query: &str, groups: &[&str]) -> Vec<Value> {
    let path = format!("/api/usage/totals?from=2026-10-01&to=2026-11-30&{query}");
    let reply = gateway
        .send(gateway.request_in(Method::GET, &path, "ana", groups))
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{query}: {reply:?}");
    let body = reply.json();
    assert_eq!(body["next_cursor"], Value::Null);
    body["items"].as_array().unwrap().clone()
}

/// Key, currency, requests and money of each sum.
fn lines(sums: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    sums.iter()
        .map(|sum| {
            let (key, currency) = (text(&sum["key"]), text(&sum["currency"]));
            format!("{key} {currency} {} {}", sum["requests"], sum["micros"])
        })
        .collect()
}

#[tokio::test]
async fn usage_is_added_up_by_what_is_asked_for() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    let days = sums(&gateway, "by=day", &[]).await;
    assert_eq!(
        lines(&days),
        [
            "2026-11-02 EUR 4 0",
            "2026-11-02 USD 5 500",
            "2026-11-01 EUR 5 500",
            "2026-10-31 EUR 1 100",
        ],
        "the newest first, and currencies apart"
    );
    assert_eq!(
        days[2],
        json!({
            "key": "2026-11-01", "provider": null, "requests": 5, "input_tokens": 50,
            "output_tokens": 5, "estimated_requests": 1, "unpriced_requests": 1, "micros": 500,
            "currency": "EUR",
        })
    );
    assert_eq!(
        sums(&gateway, "", &[]).await,
        days,
        "days when nothing is said"
    );
    assert_eq!(
        lines(&sums(&gateway, "by=month", &[]).await),
        [
            "2026-11 EUR 9 500",
            "2026-11 USD 5 500",
            "2026-10 EUR 1 100"
        ]
    );
    let models = sums(&gateway, "by=model", &[]).await;
    assert_eq!(
        lines(&models),
        ["small EUR 4 0", "gpt EUR 6 600", "gpt USD 5 500"],
        "the one with the most tokens first"
    );
    assert_eq!(models[0]["provider"], "local");
    // Nothing of what lies outside of the days.
    let path = "/api/usage/totals?from=2026-11-01&to=2026-11-01";
    let day = gateway.get(path, "ana").await.json();
    assert_eq!(day["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn sums_of_others_are_for_administrators() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    let own = sums(&gateway, "by=subject", &["admins"]).await;
    assert!(own.iter().all(|sum| sum["key"] == "ana"), "{own:?}");
    let all = sums(&gateway, "by=subject&all=true", &["admins"]).await;
    assert_eq!(
        lines(&all),
        ["ana EUR 10 600", "eve EUR 6 600", "ana USD 5 500"]
    );
    let hers = sums(&gateway, "by=day&subject=eve", &["admins"]).await;
    assert_eq!(lines(&hers), ["2026-11-02 EUR 6 600"]);
    for query in ["all=true", "subject=eve", "all=true&subject=eve"] {
        let path = format!("/api/usage/totals?{query}");
        let reply = gateway.get(&path, "ana").await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::FORBIDDEN, "admins_only"),
            "{query}"
        );
    }
    // The control: one may name oneself.
    let reply = gateway.get("/api/usage/totals?subject=ana", "ana").await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn sums_come_page_by_page_in_the_order_of_the_whole() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    for by in ["day", "month", "model", "subject"] {
        let query = format!("by={by}&all=true");
        let whole = sums(&gateway, &query, &["admins"]).await;
        assert!(whole.len() > 2, "{by}: {whole:?}");
        let path = format!("/api/usage/totals?from=2026-10-01&to=2026-11-30&{query}&limit=1");
        let pages = gateway.pages(&path, "ana", &["admins"]).await;
        assert!(pages.iter().all(|page| page.len() == 1), "{by}: {pages:?}");
        assert_eq!(pages.concat(), whole, "{by}");
    }
    let path = "/api/usage/totals?from=2026-10-01&to=2026-11-30&limit=1";
    let first = gateway.get(path, "ana").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    for (query, param) in [
        // It is of the list by day.
        (format!("by=month&cursor={cursor}"), "cursor"),
        (format!("cursor={}", &cursor[1..]), "cursor"),
        ("limit=1001".to_owned(), "limit"),
    ] {
        let path = format!("/api/usage/totals?{query}");
        let reply = gateway.get(&path, "ana").await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {reply:?}");
        assert_eq!(reply.json()["param"], param, "{path}");
    }
}

#[tokio::test]
async fn more_sums_than_a_page_has_are_not_cut_off() {
    let Some((server, gateway)) = stored().await else {
        return;
    };
    // They differ by their name alone.
    sqlx::query(
        "insert into usage_days (day, subject, api_key, provider, model, currency, price_version,
                                 requests, input_tokens, output_tokens, micros, unpriced, estimated)
         select '2026-11-02', 'p-' || n, '', 'openai', 'gpt', 'EUR', '1', 1, 1, 1, 1, 0, 0
         from generate_series(1, 1100) n",
    )
    .execute(&server.pool())
    .await
    .unwrap();
    let path = "/api/usage/totals?from=2026-10-01&to=2026-11-30&by=subject&all=true";
    let pages = gateway.pages(path, "ana", &["admins"]).await;
    let sizes: Vec<_> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1000, 103]);
    let all = pages.concat();
    let keys: BTreeSet<String> = lines(&all).into_iter().collect();
    assert_eq!(keys.len(), all.len(), "each once");
}

#[tokio::test]
async fn usage_is_kept_for_some_days() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    // More than one statement deletes.
    sqlx::query(
        "insert into usage_days (day, subject, api_key, provider, model, currency, price_version,
                                 requests, input_tokens, output_tokens, micros, unpriced, estimated)
         select (now() at time zone 'utc')::date - ago, 'p-' || n, '', 'openai', 'gpt', 'EUR', '1',
                1, 1, 1, 1, 0, 0
         from generate_series(1, 1100) n, unnest(array[0, 400, 401]) ago",
    )
    .execute(&server.pool())
    .await
    .unwrap();
    for (days, rows) in [(36_500, 0), (400, 1100), (400, 0), (1, 1100)] {
        let purged = retention::purge_usage(&gateway.state.store, days).await;
        assert_eq!(purged.unwrap(), rows, "{days}");
    }
    let left: i64 = sqlx::query_scalar("select count(*) from usage_days")
        .fetch_one(&server.pool())
        .await
        .unwrap();
    assert_eq!(left, 1100, "of today");
}
