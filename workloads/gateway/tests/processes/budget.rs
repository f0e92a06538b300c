//! One budget that two processes spend.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::client::Reply;
use crate::ground::{Ground, wait_for};
use crate::postgres;
use crate::script::{Way, content, question};

const CALLS: usize = 200;
const CAP: usize = 50;

/// What the fake orchestrator says that an answer took, at these prices.
const TAKEN: [i64; 3] = [1, 12 + 5, 12 * 2 + 5 * 4];
const PRICES: &str = r#"
prices:
  version: "2026-11"
  currency: EUR
  models: [{provider: local, model: extractive, inputPerMillion: "2", outputPerMillion: "4"}]
roles: [{name: scripted, models: [{provider: local, model: extractive}]}]
"#;

/// An amount as a budget has it: money in millionths is text.
fn limit(unit: &str, value: usize) -> String {
    if unit == "money" {
        let (whole, rest) = (value / 1_000_000, value % 1_000_000);
        format!("money: \"{whole}.{rest:06}\"")
    } else {
        format!("{unit}: {value}")
    }
}

/// The number in an amount as it is told.
fn number(unit: &str, told: &Value) -> usize {
    let number = if unit == "money" {
        &told["micros"]
    } else {
        told
    };
    usize::try_from(number.as_u64().unwrap()).unwrap()
}

#[rstest::rstest]
#[case::requests("requests", 0)]
#[case::tokens("tokens", 1)]
#[case::money("money", 2)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_at_once_over_two_replicas_exactly_50_pass(
    #[case] unit: &str,
    #[case] place: usize,
) {
    let Some(database) = postgres::start() else {
        return;
    };
    let ground = Ground::new(&database).await;
    // All stand still until it is known who passes: what comes back of an estimate would let others in.
    let script = vec![(0, "so".to_owned()), (0, " it is".to_owned())];
    let question = question(&script, Way::Whole, false);
    // The estimate: bytes/2 + 8 + 2,000 read, 100 written.
    let read = content(&script).len().div_ceil(2) + 8 + 2_000;
    let needed = [1, read + 100, read * 2 + 100 * 4][place];
    // One more needs one more than is left.
    let most = CAP * needed + needed - 1;
    let limited = limit(unit, most);
    let budget = format!("{{name: cap, scope: Platform, per: Month, {limited}}}");
    let budgets = ground.file("budgets.yaml", &format!("{PRICES}budgets: [{budget}]"));
    let settings = [("BUDGETS_FILE", budgets.as_str())];
    let replicas = [
        ground.replica(&settings).await,
        ground.replica(&settings).await,
    ];
    let refused = AtomicUsize::new(0);
    let calls = (0..CALLS).map(|index| {
        let address = replicas[index % replicas.len()].address;
        // Two hundred people, so that nothing but the common budget stops them.
        let client = ground.client(address, &format!("person-{index}"));
        let (question, refused) = (&question, &refused);
        async move {
            let reply = client.ask(question).await.unwrap();
            if reply.status == 429 {
                refused.fetch_add(1, Ordering::SeqCst);
            }
            reply
        }
    });
    let known = async {
        let limit = Duration::from_secs(25);
        wait_for("some pass and all others are refused", limit, async || {
            let counts = (ground.seen.count(), refused.load(Ordering::SeqCst));
            counts == (CAP, CALLS - CAP)
        })
        .await;
        ground.seen.go.cancel();
    };
    let (replies, ()): (Vec<Reply>, ()) = tokio::join!(join_all(calls), known);
    let with = |status: u16| replies.iter().filter(|it| it.status == status).count();
    let last = replies.last();
    assert_eq!((with(200), with(429)), (CAP, CALLS - CAP), "{last:?}");
    assert_eq!(ground.seen.count(), CAP, "nobody else was asked");

    let refused = replies.iter().find(|it| it.status == 429).unwrap();
    assert_eq!(refused.code(), "budget_exceeded");
    let budget = &refused.json()["error"]["budget"];
    assert_eq!(
        (&budget["name"], &budget["kind"]),
        (&json!("cap"), &json!(unit))
    );
    let told = ["limit", "needed"].map(|field| number(unit, &budget[field]));
    assert_eq!(told, [most, needed]);
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    let resets: jiff::Timestamp = budget["resets_at"].as_str().unwrap().parse().unwrap();
    let left = resets.as_second() - jiff::Timestamp::now().as_second();
    assert!((wait - left).abs() < 60, "{wait} s are not {left} s");

    // The processes keep the books by themselves.
    wait_for("all of it is booked", Duration::from_secs(30), async || {
        ground.number("select count(*) from spendings").await == 0
    })
    .await;
    let used: [i64; 3] = ground
        .numbers(
            "select sum(requests)::bigint, sum(input_tokens + output_tokens)::bigint,
                    sum(micros)::bigint
             from usage_days",
        )
        .await;
    let counted: [i64; 3] = ground
        .numbers(
            "select sum(requests)::bigint, sum(tokens)::bigint, sum(micros)::bigint
             from budget_windows",
        )
        .await;
    let taken = TAKEN.map(|one| one * CAP as i64);
    assert_eq!((used, counted), (taken, taken));
    let ana = ground.client(replicas[1].address, "ana");
    let budgets = ana.get("/api/budgets").await.unwrap().json();
    let used = number(unit, &budgets["items"][0]["used"][unit]);
    assert_eq!(used as i64, taken[place]);
}
