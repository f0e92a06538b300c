//! What the orchestrator holds of a person: a part of their export, and of their erasure, which nobody
//! is told to be done as long as it is not.

use std::sync::atomic::Ordering;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::browser::{Person, sign_in_as, with_cookies};
use super::conversations::send;
use super::ends::{lock, somebody_waits};
use super::orchestrator::Seen;
use super::orchestrator::approvals::ARGUMENTS;
use super::postgres::tables_with;
use super::support::{Gateway, PUBLIC_URL, Reply};
use crate::erasure::elsewhere::finish;

/// A subject that is part of nothing else.
const LEAVER: &str = "leaver-41de";
const STAYER: &str = "stayer-b7a0";
const ERASE: &str = "/api/me/data?confirm=erase-everything";
const EXPORT: &str = "/api/me/export";

/// Has two calls wait for somebody's consent, who denies the second; gives their ids.
async fn live(gateway: &Gateway, seen: &Seen, subject: &str) -> [String; 2] {
    let ids = ["pay", "mail"].map(|tool| seen.approvals.add(subject, "", tool).id);
    let path = format!("/api/approvals/{}", ids[1]);
    let denial = json!({"decision": "deny", "reason": "too dear"});
    let reply = send(gateway, subject, Method::POST, &path, &denial).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    gateway.settle().await;
    ids
}

async fn erase(gateway: &Gateway, subject: &str) -> Reply {
    send(gateway, subject, Method::DELETE, ERASE, &Value::Null).await
}

fn away(reply: &Reply) {
    let status = reply.status.as_u16();
    assert_eq!(
        (status, reply.code().as_str()),
        (503, "orchestrator_unavailable"),
        "{reply:?}"
    );
}

#[tokio::test]
async fn nobody_is_told_to_be_erased_whom_the_orchestrator_still_holds() {
    let Some((server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let pool = server.pool();
    let person = Person {
        subject: LEAVER,
        groups: &[],
        provider_session: LEAVER,
    };
    let cookie = sign_in_as(&gateway, person, 300).await;
    live(&gateway, &seen, LEAVER).await;
    live(&gateway, &seen, STAYER).await;
    let erase_own = || with_cookies(&gateway, Method::DELETE, ERASE, &cookie, Some(PUBLIC_URL));
    seen.is_away.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let reply = erase_own().await;
        away(&reply);
        assert!(reply.headers.get("set-cookie").is_none(), "{reply:?}");
        gateway.settle().await;
        // Whoever asked is signed in still, and can ask again.
        let left = tables_with(&pool, LEAVER).await;
        assert_eq!(left, ["pending_erasures", "sessions"]);
    }
    assert_eq!(seen.approvals.count(LEAVER), 2);
    seen.is_away.store(false, Ordering::Relaxed);
    let reply = erase_own().await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let erased = reply.json();
    for (what, count) in [
        ("approvals", 2),
        ("decisions", 1),
        ("runs", 2),
        ("sessions", 1),
    ] {
        assert_eq!(erased[what], count, "{what} of {erased}");
    }
    gateway.settle().await;
    assert_eq!(seen.approvals.count(LEAVER), 0);
    assert_eq!(tables_with(&pool, LEAVER).await, Vec::<String>::new());
    assert_eq!(seen.approvals.count(STAYER), 2, "the control");
    let again = erase(&gateway, LEAVER).await;
    assert_eq!(again.status, StatusCode::OK, "{again:?}");
    assert_eq!(again.json()["approvals"], 0);
}

#[tokio::test]
async fn an_erasure_goes_on_though_who_asked_for_it_leaves() {
    let Some((server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    live(&gateway, &seen, LEAVER).await;
    // It comes as far as here, which is before the orchestrator's part.
    let held = lock(
        &server,
        "lock table pending_erasures in access exclusive mode",
    )
    .await;
    tokio::select! {
        reply = erase(&gateway, LEAVER) => panic!("{reply:?}"),
        () = somebody_waits(&server) => {}
    }
    held.rollback().await.unwrap();
    gateway.settle().await;
    assert_eq!(seen.approvals.count(LEAVER), 0);
    let left = tables_with(&server.pool(), LEAVER).await;
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn an_unfinished_erasure_is_finished_though_nobody_asks_again() {
    let Some((server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let (pool, state) = (server.pool(), &gateway.state);
    let go_on = || finish(&state.store, &state.orchestrator);
    live(&gateway, &seen, LEAVER).await;
    live(&gateway, &seen, STAYER).await;
    // There is nothing to do yet.
    assert_eq!(go_on().await.unwrap(), 0);
    seen.is_away.store(true, Ordering::Relaxed);
    away(&erase(&gateway, LEAVER).await);
    state.store.note_erasure("another").await.unwrap();
    let first = || state.store.pending_erasure();
    assert_eq!(first().await.unwrap().as_deref(), Some(LEAVER));
    assert_eq!(go_on().await.unwrap(), 0);
    // What failed keeps nobody else waiting.
    assert_eq!(first().await.unwrap().as_deref(), Some("another"));
    assert_eq!(tables_with(&pool, LEAVER).await, ["pending_erasures"]);
    assert_eq!(seen.approvals.count(LEAVER), 2);
    seen.is_away.store(false, Ordering::Relaxed);
    assert_eq!(go_on().await.unwrap(), 2);
    assert_eq!(seen.approvals.count(LEAVER), 0);
    assert_eq!(tables_with(&pool, LEAVER).await, Vec::<String>::new());
    assert_eq!(first().await.unwrap(), None);
    assert_eq!(seen.approvals.count(STAYER), 2, "the control");
}

#[tokio::test]
async fn an_export_has_what_the_orchestrator_holds_or_does_not_begin() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let ids = live(&gateway, &seen, LEAVER).await;
    let others = live(&gateway, &seen, STAYER).await;
    let reply = gateway.get(EXPORT, LEAVER).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let all = reply.json();
    let of = |list: &str, field: &str| -> Vec<Value> {
        let items = all[list].as_array().unwrap().iter();
        items.map(|it| it[field].clone()).collect()
    };
    let [pay, mail] = &ids;
    // Over more than one page.
    assert_eq!(of("approval_requests", "id"), [mail.as_str(), pay.as_str()]);
    assert_eq!(of("approval_requests", "arguments"), [ARGUMENTS, ARGUMENTS]);
    assert_eq!(of("approval_decisions", "approval_id"), [mail.as_str()]);
    assert_eq!(of("runs", "run_id").len(), 2);
    assert!(!others.iter().any(|id| reply.body.contains(id)));
    seen.is_away.store(true, Ordering::Relaxed);
    away(&gateway.get(EXPORT, LEAVER).await);
}
