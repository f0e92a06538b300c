//! A NUL character in whatever a path or query can carry: PostgreSQL has no text for it, and the fault
//! is the caller's.

use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lotoai_policy::Needs;
use serde_json::{Value, json};

use super::support::{Gateway, Reply};
use crate::routes::table;

/// An answer to an administrator, who gets furthest.
async fn ask(gateway: &Gateway, method: &Method, path: &str) -> Reply {
    let request = gateway.request_in(method.clone(), path, "root", &["admins"]);
    gateway.send(request).await
}

/// An id that nothing has.
const NOBODYS: &str = "019aab4e-0000-7000-8000-000000000000";

/// The lists, each with the query parameters that its refusal of an unknown one names.
async fn lists(gateway: &Gateway) -> Vec<(String, Vec<String>)> {
    let mut lists = Vec::new();
    for route in table() {
        if route.method != Method::GET || route.needs == Needs::Nothing {
            continue;
        }
        let path = route.path.replace("{id}", NOBODYS);
        let reply = ask(gateway, &Method::GET, &format!("{path}?no-such=1")).await;
        if reply.status != StatusCode::BAD_REQUEST {
            continue;
        }
        let detail = reply.json()["detail"].clone();
        let known = detail.as_str().and_then(|it| it.split_once("It takes: "));
        if let Some((_, known)) = known {
            lists.push((path, known.split(", ").map(str::to_owned).collect()));
        }
    }
    lists
}

/// A cursor of every shape that a list has, with `text` in the place of each text.
fn cursors(text: &str) -> Vec<String> {
    let shapes: [Value; 7] = [
        json!([1, text]),
        json!([text, "subject", 1]),
        json!(["budget", text, 1]),
        json!({ "day": text, "id": 1 }),
        json!(["Administrator", text]),
        json!({ "by": "day", "key": text, "provider": text, "tokens": 1, "currency": text }),
        json!({ "by": text, "key": "", "provider": "", "tokens": 1, "currency": "" }),
    ];
    let encoded = shapes
        .iter()
        .map(|it| URL_SAFE_NO_PAD.encode(it.to_string()));
    encoded.collect()
}

#[tokio::test]
async fn a_nul_in_a_query_is_refused_and_the_parameter_named() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let mut tried = Vec::new();
    for (list, parameters) in lists(&gateway).await {
        for name in parameters {
            for value in ["%00", "a%00b"] {
                let path = format!("{list}?{name}={value}");
                let reply = ask(&gateway, &Method::GET, &path).await;
                assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {reply:?}");
                assert_eq!(reply.json()["param"], name, "{path}");
            }
            tried.push(format!("{list} {name}"));
        }
    }
    for known in [
        "/api/keys cursor",
        "/api/admin/keys subject",
        "/api/admin/sessions subject",
        "/api/usage subject",
        "/api/documents knowledge_base",
        "/api/usage/totals cursor",
        "/api/admin/budgets cursor",
        &format!("/api/conversations/{NOBODYS}/messages cursor"),
    ] {
        assert!(
            tried.iter().any(|it| it == known),
            "{known} is not in {tried:?}"
        );
    }
    // The control: without it the same is answered.
    let reply = ask(&gateway, &Method::GET, "/api/usage?subject=ab").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}

#[tokio::test]
async fn a_nul_in_a_cursor_is_refused() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let (mut refused, mut answered) = (0, 0);
    for (list, parameters) in lists(&gateway).await {
        if !parameters.iter().any(|name| name == "cursor") {
            continue;
        }
        for all in ["", "&all=true"] {
            for (nul, plain) in cursors("a\0b").iter().zip(cursors("2026-11-26")) {
                let path = format!("{list}?cursor={nul}{all}");
                let reply = ask(&gateway, &Method::GET, &path).await;
                assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {reply:?}");
                refused += 1;
                // The control: of these shapes one or more are the list's own.
                let path = format!("{list}?cursor={plain}{all}");
                let reply = ask(&gateway, &Method::GET, &path).await;
                assert!(!reply.status.is_server_error(), "{path}: {reply:?}");
                answered += usize::from(reply.status == StatusCode::OK);
            }
        }
    }
    // Keys, set budgets, twice usage and its sums, and four times budgets have cursors with text.
    assert!(refused >= 100 && answered >= 10, "{refused} {answered}");
}

#[tokio::test]
async fn a_cursor_of_a_time_that_no_database_has_is_refused() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    for (start, status) in [
        (0, 200),
        (-1, 400),
        (-377_705_116_799_i64, 400),
        (i64::MAX, 400),
    ] {
        let cursor = URL_SAFE_NO_PAD.encode(json!(["", "", start]).to_string());
        let path = format!("/api/budgets?all=true&cursor={cursor}");
        let reply = ask(&gateway, &Method::GET, &path).await;
        assert_eq!(reply.status.as_u16(), status, "{start}: {reply:?}");
    }
}

#[tokio::test]
async fn a_nul_in_a_path_is_the_name_of_nothing() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let mut tried = 0;
    for route in table() {
        if !route.path.contains("{id}") {
            continue;
        }
        for id in ["%00", "0011223344556677%00"] {
            let path = route.path.replace("{id}", id);
            let reply = ask(&gateway, &route.method, &path).await;
            assert!(
                reply.status.is_client_error(),
                "{} {path}: {reply:?}",
                route.method
            );
            // As it says of an id without it that nothing has.
            let plain = route.path.replace("{id}", "0011223344556677");
            let plain = ask(&gateway, &route.method, &plain).await;
            assert_eq!(
                (reply.status, &reply.body),
                (plain.status, &plain.body),
                "{path}"
            );
        }
        tried += 1;
    }
    assert!(tried >= 8, "{tried}");
}
