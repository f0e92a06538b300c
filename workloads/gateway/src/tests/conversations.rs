//! What becomes of stored conversations: titles, branches, exports, their end and their way back.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::budgets::question;
use super::support::{Gateway, Reply};
use crate::retention;

const NOBODYS: &str = "019aab4e-0000-7000-8000-000000000000";

/// Asks and stores; the id of the conversation.
pub(super) async fn talk(gateway: &Gateway, subject: &str, more: &Value) -> String {
    let mut stored = json!({"store": true});
    stored
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let reply = gateway.chat(subject, question("lotoai", &stored)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let id = reply.json()["lotoai"]["conversation_id"].clone();
    id.as_str().unwrap().to_owned()
}

pub(super) async fn send(
    gateway: &Gateway,
    subject: &str,
    method: Method,
    path: &str,
    body: &Value,
) -> Reply {
    let mut request = gateway.request(method, path, subject);
    if !body.is_null() {
        *request.body_mut() = Body::from(body.to_string());
    }
    gateway.send(request).await
}

async fn messages(gateway: &Gateway, id: &str) -> Vec<Value> {
    let one = gateway
        .get(&format!("/api/conversations/{id}"), "ana")
        .await;
    assert_eq!(one.status, StatusCode::OK, "{one:?}");
    one.json()["messages"].as_array().unwrap().clone()
}

/// Titles in the list, in its order.
async fn titles(gateway: &Gateway, subject: &str) -> Vec<String> {
    let list = gateway.get("/api/conversations", subject).await.json();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|it| it["title"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_title_is_changed_and_the_place_in_the_list_stays() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let first = talk(&gateway, "ana", &json!({})).await;
    talk(&gateway, "ana", &json!({})).await;
    let path = format!("/api/conversations/{first}");
    let title = json!({"title": "  Vacaciones <2026> "});
    let renamed = send(&gateway, "ana", Method::PATCH, &path, &title).await;
    assert_eq!(renamed.status, StatusCode::OK, "{renamed:?}");
    assert_eq!(renamed.json()["title"], "Vacaciones <2026>");
    assert_eq!(
        titles(&gateway, "ana").await,
        ["¿Cuántos?", "Vacaciones <2026>"]
    );
    for (body, code) in [
        (json!({"title": ""}), "invalid_value"),
        (json!({}), "missing_required_parameter"),
        (json!({"title": "a", "owner": "eve"}), "unknown_parameter"),
    ] {
        let reply = send(&gateway, "ana", Method::PATCH, &path, &body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::BAD_REQUEST, code)
        );
    }
    let long = json!({"title": "x".repeat(20_000)});
    let reply = send(&gateway, "ana", Method::PATCH, &path, &long).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_branch_has_what_came_before_and_goes_its_own_way() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let source = talk(&gateway, "ana", &json!({})).await;
    let more = json!({"metadata": {"conversation_id": source}});
    talk(&gateway, "ana", &more).await;
    let all = messages(&gateway, &source).await;
    assert_eq!(all.len(), 4);
    let path = format!("/api/conversations/{source}/branch");
    let at = json!({"message_id": all[1]["id"], "title": "otra"});
    let made = send(&gateway, "ana", Method::POST, &path, &at).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let made = made.json();
    assert_eq!(made["title"], "otra");
    assert_eq!(
        made["branched_from"],
        json!({"conversation_id": source, "message_id": all[1]["id"]})
    );
    let branch = made["id"].as_str().unwrap();
    let copies = messages(&gateway, branch).await;
    assert_eq!(copies.len(), 2);
    for (copy, original) in copies.iter().zip(&all) {
        for field in [
            "role",
            "content",
            "outcome",
            "model",
            "decision",
            "citations",
            "tool_calls",
            "created_at",
        ] {
            assert_eq!(copy[field], original[field], "{field}");
        }
        assert_ne!(copy["id"], original["id"]);
        assert_eq!(copy["run_id"], Value::Null);
    }
    // An answer in the branch knows what was said before, and only that.
    let more = json!({"metadata": {"conversation_id": branch}});
    talk(&gateway, "ana", &more).await;
    let requests = seen.requests.lock().unwrap().clone();
    let roles = requests.last().unwrap().messages.iter();
    let roles: Vec<_> = roles.map(|it| it.role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(messages(&gateway, branch).await.len(), 4);
    assert_eq!(messages(&gateway, &source).await.len(), 4, "the control");
    // What became of the source is nothing to the branch.
    let source_path = format!("/api/conversations/{source}");
    send(&gateway, "ana", Method::DELETE, &source_path, &Value::Null).await;
    assert_eq!(messages(&gateway, branch).await.len(), 4);
    assert_eq!(titles(&gateway, "ana").await, ["otra"]);
}

#[tokio::test]
async fn a_branch_begins_at_a_message_of_its_conversation() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let source = talk(&gateway, "ana", &json!({})).await;
    let other = talk(&gateway, "ana", &json!({})).await;
    let foreign = talk(&gateway, "eve", &json!({})).await;
    let own = messages(&gateway, &source).await[1]["id"].clone();
    let others = messages(&gateway, &other).await[1]["id"].clone();
    let eves = gateway
        .get(&format!("/api/conversations/{foreign}"), "eve")
        .await
        .json()["messages"][1]["id"]
        .clone();
    let path = format!("/api/conversations/{source}/branch");
    let mut replies = Vec::new();
    for message in [&others, &eves, &json!(NOBODYS), &json!("no id")] {
        let at = json!({"message_id": message});
        let reply = send(&gateway, "ana", Method::POST, &path, &at).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::NOT_FOUND, "message_not_found"),
            "{message}"
        );
        assert_eq!(reply.json()["param"], "message_id");
        replies.push(reply.body);
    }
    assert!(replies.iter().all(|reply| *reply == replies[0]));
    // A conversation of somebody else is none, whatever the message.
    for message in [&own, &eves] {
        let at = json!({"message_id": message});
        let path = format!("/api/conversations/{foreign}/branch");
        let reply = send(&gateway, "ana", Method::POST, &path, &at).await;
        assert_eq!(reply.code(), "conversation_not_found");
    }
    assert_eq!(titles(&gateway, "ana").await.len(), 2, "nothing was made");
    let at = json!({"message_id": own});
    let reply = send(&gateway, "ana", Method::POST, &path, &at).await;
    assert_eq!(reply.status, StatusCode::CREATED, "the control");
}

#[tokio::test]
async fn writes_on_conversations_take_effect_once_for_each_key() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let source = talk(&gateway, "ana", &json!({})).await;
    let message = messages(&gateway, &source).await[1]["id"].clone();
    let branch = async |key: &str| {
        let path = format!("/api/conversations/{source}/branch");
        let mut request = gateway.request(Method::POST, &path, "ana");
        let headers = request.headers_mut();
        headers.insert("idempotency-key", key.parse().unwrap());
        *request.body_mut() = Body::from(json!({"message_id": message}).to_string());
        gateway.send(request).await
    };
    let first = branch("k").await;
    let again = branch("k").await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(titles(&gateway, "ana").await.len(), 2);
    assert_ne!(branch("l").await.body, first.body, "the control");
    let path = format!("/api/conversations/{source}");
    for (method, status) in [
        (Method::PATCH, StatusCode::OK),
        (Method::DELETE, StatusCode::NO_CONTENT),
    ] {
        let once = async || {
            let mut request = gateway.request(method.clone(), &path, "ana");
            let key = format!("key-{method}");
            let headers = request.headers_mut();
            headers.insert("idempotency-key", key.parse().unwrap());
            *request.body_mut() = Body::from(json!({"title": "t"}).to_string());
            gateway.send(request).await
        };
        assert_eq!(once().await.status, status);
        let again = once().await;
        assert_eq!(again.status, status, "{method}");
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
}

#[tokio::test]
async fn what_is_deleted_comes_back_for_a_day() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let pool = server.pool();
    let id = talk(&gateway, "ana", &json!({})).await;
    let kept = talk(&gateway, "ana", &json!({})).await;
    let path = format!("/api/conversations/{id}");
    let restore = format!("{path}/restore");
    let none = Value::Null;
    let delete = send(&gateway, "ana", Method::DELETE, &path, &none).await;
    assert_eq!(delete.status, StatusCode::NO_CONTENT);
    // Nobody finds it, and nobody goes on with it.
    assert_eq!(titles(&gateway, "ana").await.len(), 1);
    let more = json!({"store": true, "metadata": {"conversation_id": id}});
    let reply = gateway.chat("ana", question("lotoai", &more)).await;
    assert_eq!(reply.code(), "conversation_not_found");
    let message = json!({"message_id": NOBODYS, "title": "t"});
    for (method, path, body) in [
        (Method::GET, path.clone(), &none),
        (Method::GET, format!("{path}/messages"), &none),
        (Method::DELETE, path.clone(), &none),
        (Method::PATCH, path.clone(), &json!({"title": "t"})),
        (Method::POST, format!("{path}/branch"), &message),
        (Method::GET, format!("{path}/export"), &none),
    ] {
        let reply = send(&gateway, "ana", method, &path, body).await;
        assert_eq!(reply.code(), "conversation_not_found", "{path}");
    }
    // Nobody else brings it back.
    let reply = send(&gateway, "eve", Method::POST, &restore, &none).await;
    assert_eq!(reply.code(), "conversation_not_found");
    for _ in 0..2 {
        let reply = send(&gateway, "ana", Method::POST, &restore, &none).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        assert_eq!(reply.json()["id"], json!(id));
    }
    assert_eq!(messages(&gateway, &id).await.len(), 2);
    // A day later it is gone, at once for people and soon for good.
    send(&gateway, "ana", Method::DELETE, &path, &none).await;
    assert_eq!(purged(&gateway, None).await, 0);
    age(&pool, "deleted_at", &id, "24 hours").await;
    let reply = send(&gateway, "ana", Method::POST, &restore, &none).await;
    assert_eq!(reply.code(), "conversation_not_found");
    assert_eq!(purged(&gateway, None).await, 1);
    let left: i64 = sqlx::query_scalar("select count(*) from messages")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 2, "its messages went with it, and no others");
    assert_eq!(messages(&gateway, &kept).await.len(), 2, "the control");
}

async fn age(pool: &PgPool, column: &str, id: &str, interval: &str) {
    let statement =
        format!("update conversations set {column} = now() - interval '{interval}' where id = $1");
    let done = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(Uuid::parse_str(id).unwrap())
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(done.rows_affected(), 1);
}

async fn purged(gateway: &Gateway, days: Option<u32>) -> u64 {
    retention::purge(&gateway.state.store, days).await.unwrap()
}

#[tokio::test]
async fn what_is_not_used_for_long_goes_only_where_the_platform_says_so() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let pool = server.pool();
    let mut ids = Vec::new();
    // More than one statement deletes.
    for _ in 0..23 {
        let id = Uuid::now_v7();
        sqlx::query(
            "insert into conversations (id, owner, title, updated_at)
             values ($1, 'ana', 'old', now() - interval '31 days')",
        )
        .bind(id)
        .execute(&pool)
        .await
        .unwrap();
        ids.push(id);
    }
    let fresh = talk(&gateway, "ana", &json!({})).await;
    age(&pool, "updated_at", &fresh, "29 days").await;
    assert_eq!(purged(&gateway, None).await, 0);
    assert_eq!(purged(&gateway, Some(36_500)).await, 0);
    assert_eq!(purged(&gateway, Some(30)).await, 23);
    assert_eq!(titles(&gateway, "ana").await, ["¿Cuántos?"]);
}

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
