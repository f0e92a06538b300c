//! One budget that two processes spend.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::client::Reply;
use crate::ground::{Ground, wait_for};
use crate::postgres;

const CALLS: usize = 200;
const CAP: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_at_once_over_two_replicas_exactly_50_pass() {
    let Some(database) = postgres::start() else {
        return;
    };
    let ground = Ground::new(&database).await;
    let budgets = format!("budgets: [{{name: cap, scope: Platform, per: Month, requests: {CAP}}}]");
    let budgets = ground.file("budgets.yaml", &budgets);
    let settings = [("BUDGETS_FILE", budgets.as_str())];
    let replicas = [
        ground.replica(&settings).await,
        ground.replica(&settings).await,
    ];
    let question = json!({
        "model": "writer", "store": false, "max_tokens": 100,
        "messages": [{ "role": "user", "content": "¿Cuántos?" }],
    });
    let calls = (0..CALLS).map(|index| {
        let address = replicas[index % replicas.len()].address;
        // Two hundred people, so that nothing but the common budget stops them.
        let client = ground.client(address, &format!("person-{index}"));
        let question = &question;
        async move { client.ask(question).await.unwrap() }
    });
    let replies: Vec<Reply> = join_all(calls).await;
    let with = |status: u16| replies.iter().filter(|it| it.status == status).count();
    let last = replies.last();
    assert_eq!((with(200), with(429)), (CAP, CALLS - CAP), "{last:?}");
    assert_eq!(ground.seen.count(), CAP, "nobody else was asked");

    let refused = replies.iter().find(|it| it.status == 429).unwrap();
    assert_eq!(refused.code(), "budget_exceeded");
    let budget = &refused.json()["error"]["budget"];
    assert_eq!(
        (&budget["name"], &budget["limit"]),
        (&json!("cap"), &json!(CAP))
    );
    assert_eq!(budget["kind"], "requests");
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    let resets: jiff::Timestamp = budget["resets_at"].as_str().unwrap().parse().unwrap();
    let left = resets.as_second() - jiff::Timestamp::now().as_second();
    assert!((wait - left).abs() < 60, "{wait} s are not {left} s");

    // The processes keep the books by themselves.
    wait_for("all of it is booked", Duration::from_secs(30), async || {
        ground.number("select count(*) from spendings").await == 0
    })
    .await;
    let booked = "select (select sum(requests)::bigint from usage_days),
                         (select sum(requests)::bigint from budget_windows)";
    let booked: [i64; 2] = ground.numbers(booked).await;
    assert_eq!(booked, [CAP as i64; 2]);
    let ana = ground.client(replicas[1].address, "ana");
    let budgets = ana.get("/api/budgets").await.unwrap().json();
    assert_eq!(budgets["items"][0]["used"]["requests"], CAP);
}
