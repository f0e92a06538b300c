//! All that they hold, as a file and page by page.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{messages, talk};
use crate::tests::support::Gateway;

#[tokio::test]
async fn an_export_holds_all_messages() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let id = talk(&gateway, "ana", &json!({})).await;
    // More than a page shows, more than a part holds, and one that is longer than a part.
    sqlx::query(
        "insert into messages (id, conversation_id, role, content)
         select gen_random_uuid(), $1, 'user',
                case when n = 300 then repeat('ñ', 2000000) else 'number ' || n end
         from generate_series(1, 600) n order by n",
    )
    .bind(Uuid::parse_str(&id).unwrap())
    .execute(&server.pool())
    .await
    .unwrap();
    let path = format!("/api/conversations/{id}/export");
    let reply = gateway.get(&path, "ana").await;
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(
        reply.header("content-disposition"),
        format!("attachment; filename=\"conversation-{id}.json\"")
    );
    let exported = reply.json();
    assert_eq!(exported["title"], "¿Cuántos?");
    let all = exported["messages"].as_array().unwrap();
    assert_eq!(all.len(), 602);
    assert_eq!(all[1]["citations"][0]["passage"], "Holidays: 23 days");
    assert_eq!(
        all[301]["content"].as_str().unwrap().chars().count(),
        2_000_000
    );
    let numbers = all[2..].iter().enumerate();
    for (index, message) in numbers.filter(|(index, _)| *index != 299) {
        assert_eq!(message["content"], format!("number {}", index + 1));
    }
    let reply = gateway.get(&format!("{path}?format=markdown"), "ana").await;
    assert_eq!(reply.header("content-type"), "text/markdown; charset=utf-8");
    assert!(reply.body.starts_with("# ¿Cuántos?\n\n"));
    assert!(reply.body.contains("## assistant · "));
    assert!(reply.body.contains("\n- [1] "));
    assert!(reply.body.ends_with("\nnumber 600\n"));
    let reply = gateway.get(&format!("{path}?format=html"), "ana").await;
    assert_eq!(reply.json()["param"], "format");
    gateway.settle().await;
}

/// Adds messages of the person with these texts, in that order.
async fn say(pool: &PgPool, id: &str, texts: &[String]) {
    sqlx::query(
        "insert into messages (id, conversation_id, role, content)
         select gen_random_uuid(), $1, 'user', said.content
         from unnest($2::text[]) with ordinality as said (content, number) order by number",
    )
    .bind(Uuid::parse_str(id).unwrap())
    .bind(texts)
    .execute(pool)
    .await
    .unwrap();
}

fn texts(messages: &[Value]) -> Vec<String> {
    let texts = messages.iter().map(|it| it["content"].as_str().unwrap());
    texts.map(str::to_owned).collect()
}

fn numbers(numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|number| format!("number {number}")).collect()
}

#[tokio::test]
async fn messages_come_page_by_page_and_each_once_while_others_are_added() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let pool = server.pool();
    let id = talk(&gateway, "ana", &json!({})).await;
    say(&pool, &id, &numbers(1..=600)).await;
    // Another conversation has messages between these.
    let other = talk(&gateway, "ana", &json!({})).await;
    say(&pool, &id, &numbers(601..=602)).await;
    let path = format!("/api/conversations/{id}/messages");
    let page = async |query: &str| {
        let reply = gateway.get(&format!("{path}?{query}"), "ana").await;
        assert_eq!(reply.status, StatusCode::OK, "{query}: {reply:?}");
        reply.json()
    };
    let first = page("limit=3").await;
    let newest = first["items"].as_array().unwrap();
    assert_eq!(texts(newest), ["number 602", "number 601", "number 600"]);
    say(&pool, &id, &["newer".to_owned()]).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = page(&format!("limit=3&cursor={cursor}")).await;
    assert_eq!(
        texts(second["items"].as_array().unwrap()),
        ["number 599", "number 598", "number 597"]
    );
    assert_eq!(page("").await["items"].as_array().unwrap().len(), 50);

    // All of them, as the conversation shows its newest ones.
    let pages = gateway
        .pages(&format!("{path}?limit=200"), "ana", &[])
        .await;
    let sizes: Vec<_> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [200, 200, 200, 5]);
    let mut all = pages.concat();
    all.reverse();
    assert_eq!(messages(&gateway, &id).await, all[all.len() - 500..]);
    assert_eq!(texts(&all[2..604]), numbers(1..=602));
    assert_eq!(all[1]["citations"][0]["passage"], "Holidays: 23 days");

    // A cursor belongs to its conversation, and is what a page gave.
    let elsewhere = format!("/api/conversations/{other}/messages");
    for path in [
        format!("{elsewhere}?cursor={cursor}"),
        format!("{path}?cursor={cursor}A"),
        format!("{path}?cursor={}", &cursor[1..]),
        format!("{path}?cursor=bm9wZQ"),
    ] {
        let reply = gateway.get(&path, "ana").await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {reply:?}");
        assert_eq!(reply.json()["param"], "cursor", "{path}");
    }
    let reply = gateway.get(&format!("{path}?limit=201"), "ana").await;
    assert_eq!(reply.json()["param"], "limit");
    // Nobody else has it, with a cursor or without.
    for query in ["", &format!("?cursor={cursor}")] {
        let reply = gateway.get(&format!("{path}{query}"), "eve").await;
        assert_eq!(reply.code(), "conversation_not_found", "{query}");
    }
    let reply = gateway.get(&elsewhere, "ana").await;
    assert_eq!(reply.json()["items"].as_array().unwrap().len(), 2);
}
