//! Their end, at a person's wish or of age, and their way back.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{NOBODYS, messages, send, talk, titles};
use crate::retention;
use crate::tests::budgets::question;
use crate::tests::support::Gateway;

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
