//! Every kind of budget in every window and unit: what fits to the last bit, what does not, and what
//! is told of it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::keys::key;
use super::{question, stored};
use crate::budget::ledger::fold;
use crate::tests::api_keys::bearing;
use crate::tests::support::{Gateway, Reply};

const CHAT: &str = "/v1/chat/completions";

/// Who asks: a person, in groups or with an API key.
enum Caller {
    Person(&'static str, &'static [&'static str]),
    Key(String),
}

impl Caller {
    async fn ask(&self, gateway: &Gateway) -> Reply {
        let mut request: Request<Body> = match self {
            Self::Person(subject, groups) => {
                gateway.request_in(Method::POST, CHAT, subject, groups)
            }
            Self::Key(key) => bearing(Method::POST, CHAT, key),
        };
        *request.body_mut() = Body::from(question("writer", &json!({})));
        gateway.send(request).await
    }
}

/// Callers of one budget.
struct Callers {
    /// Who uses it up, one question each.
    both: [Caller; 2],
    /// Somebody who counts in it no more than they do in one of their own.
    other: Caller,
    /// Whose budget it is, as it is told.
    subject: String,
}

async fn callers(gateway: &Gateway, scope: &str) -> Callers {
    let (both, other, subject) = match scope {
        "User" => (
            ["ana", "ana"].map(|subject| Caller::Person(subject, &[])),
            Caller::Person("eve", &[]),
            "ana".to_owned(),
        ),
        "Group" => (
            ["ana", "bob"].map(|subject| Caller::Person(subject, &["hr"])),
            Caller::Person("ana", &["it"]),
            "hr".to_owned(),
        ),
        "APIKey" => {
            let (id, busy) = key(gateway, "busy").await;
            let (_, idle) = key(gateway, "idle").await;
            ([busy.clone(), busy].map(Caller::Key), Caller::Key(idle), id)
        }
        _ => (
            ["ana", "bob"].map(|subject| Caller::Person(subject, &[])),
            Caller::Person("eve", &[]),
            String::new(),
        ),
    };
    Callers {
        both,
        other,
        subject,
    }
}

/// When a window is over that holds `now`, by the calendar.
fn end(per: &str, now: Timestamp) -> Timestamp {
    let date = now.to_zoned(TimeZone::UTC).date();
    let first = match per {
        "Minute" => {
            let minutes = now.as_second().div_euclid(60) + 1;
            return Timestamp::from_second(minutes * 60).unwrap();
        }
        "Day" => date.tomorrow(),
        _ => date.last_of_month().tomorrow(),
    };
    let midnight = first.unwrap().to_zoned(TimeZone::UTC).unwrap();
    midnight.timestamp()
}

/// What the question needs of a unit, by its estimate: bytes/2 + 8 + 2,000 read, 100 written, at
/// 1 and 10 for a million.
fn needed(unit: &str) -> i64 {
    match unit {
        "requests" => 1,
        "tokens" => 2_014 + 100,
        _ => 2_014 + 10 * 100,
    }
}

/// A limit as a budget has it.
fn limit(unit: &str, value: i64) -> String {
    if unit == "money" {
        format!("money: \"0.{value:06}\"")
    } else {
        format!("{unit}: {value}")
    }
}

/// An amount as it is told.
fn told(unit: &str, value: i64) -> Value {
    if unit == "money" {
        let amount = format!("0.{value:06}");
        json!({ "micros": value, "amount": amount, "currency": "EUR", "decimals": 6 })
    } else {
        json!(value)
    }
}

/// The questions of both, a third one, and the one of somebody else.
struct Asked {
    fit: [Reply; 2],
    over: Reply,
    other: Reply,
    /// When the third one was asked and when it was answered.
    span: [Timestamp; 2],
    ends: Timestamp,
}

/// Asks within one window of the clock, the next one if this one is nearly over: what is asked after
/// its end would count in the next.
async fn ask(gateway: &Gateway, callers: &Callers, per: &str) -> Asked {
    const ENOUGH: Duration = Duration::from_secs(15);
    let now = Timestamp::now();
    let left = Duration::try_from(end(per, now).duration_since(now)).unwrap();
    if left < ENOUGH {
        tokio::time::sleep(left).await;
    }
    let ends = end(per, Timestamp::now());
    let [first, second] = &callers.both;
    let fit = [first.ask(gateway).await, second.ask(gateway).await];
    let before = Timestamp::now();
    let over = first.ask(gateway).await;
    let after = Timestamp::now();
    let other = callers.other.ask(gateway).await;
    assert_eq!(end(per, Timestamp::now()), ends, "asking took too long");
    Asked {
        fit,
        over,
        other,
        span: [before, after],
        ends,
    }
}

#[rstest::rstest]
#[tokio::test]
async fn a_budget_of_any_kind_window_and_unit_holds_exactly_what_it_says(
    #[values("User", "Group", "APIKey", "Platform")] scope: &str,
    #[values("Minute", "Day", "Month")] per: &str,
    #[values("requests", "tokens", "money")] unit: &str,
) {
    let most = 2 * needed(unit);
    let limited = limit(unit, most);
    let budget = format!("name: cell, scope: {scope}, per: {per}, {limited}");
    let Some((_server, gateway, seen)) = stored(&[&budget]).await else {
        return;
    };
    let callers = callers(&gateway, scope).await;
    let asked = ask(&gateway, &callers, per).await;
    for reply in &asked.fit {
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    }
    let over = &asked.over;
    assert_eq!(over.status, StatusCode::TOO_MANY_REQUESTS, "{over:?}");
    assert_eq!(over.code(), "budget_exceeded");
    let error = over.json();
    for (field, value) in [
        ("name", json!("cell")),
        ("scope", json!(scope)),
        ("subject", json!(callers.subject)),
        ("per", json!(per)),
        ("kind", json!(unit)),
        ("limit", told(unit, most)),
        ("used", told(unit, most)),
        ("needed", told(unit, needed(unit))),
        ("resets_at", json!(asked.ends.to_string())),
    ] {
        assert_eq!(error["error"]["budget"][field], value, "{field}");
    }
    let wait: i64 = over.header("retry-after").parse().unwrap();
    let [longest, shortest] = asked.span.map(|at| asked.ends.as_second() - at.as_second());
    assert!((shortest..=longest).contains(&wait), "{wait} s");
    // The control: everybody else has a budget of their own, but where all have one.
    let of_other = if scope == "Platform" { 429 } else { 200 };
    assert_eq!(asked.other.status.as_u16(), of_other, "{:?}", asked.other);

    // What is not used comes back: 17 tokens and 44 millionths were.
    gateway.settle().await;
    fold(&gateway.state.store).await.unwrap();
    if unit != "requests" {
        let count = seen.count();
        let reply = callers.both[0].ask(&gateway).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        assert_eq!(seen.count(), count + 1);
    }
}
