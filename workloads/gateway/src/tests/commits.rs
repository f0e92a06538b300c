//! A commit that nobody hears of.

use serde_json::{Value, json};

use super::budgets::{question, stored};
use super::ends::{lock, until};
use super::postgres;
use super::support::{Gateway, Reply};

async fn ask(gateway: &Gateway, more: &Value) -> Reply {
    let path = "/v1/chat/completions";
    let mut request = gateway.request(axum::http::Method::POST, path, "ana");
    let headers = request.headers_mut();
    headers.insert("idempotency-key", "k".parse().unwrap());
    *request.body_mut() = question("writer", more).into();
    gateway.send(request).await
}

/// Has whatever adds to this table wait for a lock, at its commit or before it.
async fn hold_commits(server: &postgres::Database, table: &str, when: &str) {
    let holding = format!(
        "create function hold() returns trigger language plpgsql as
             $$ begin perform pg_advisory_xact_lock(7); return null; end $$;
         create constraint trigger hold after insert on {table}
             deferrable initially {when} for each row execute function hold()"
    );
    let holding = sqlx::raw_sql(sqlx::AssertSqlSafe(holding));
    holding.execute(&server.pool()).await.unwrap();
}

/// Whoever is told that nothing was changed may ask again; where that is not known, nobody does so by
/// himself, and the key is taken.
#[rstest::rstest]
#[case::at_the_commit("deferred", "storage_outcome_unknown", "false", (409, "idempotency_outcome_unknown"))]
#[case::before_it("immediate", "storage_unavailable", "", (200, ""))]
#[tokio::test]
async fn what_may_be_stored_is_not_stored_again(
    #[case] when: &'static str,
    #[case] told: &str,
    #[case] retry: &str,
    #[case] again: (u16, &str),
) {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    hold_commits(&server, "conversations", when).await;
    let holder = lock(&server, "select pg_advisory_xact_lock(7)").await;
    let reply = ask(&gateway, &json!({"store": true})).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (503, told));
    assert_eq!(reply.header("x-should-retry"), retry, "{reply:?}");
    holder.commit().await.unwrap();
    let reply = ask(&gateway, &json!({"store": true})).await;
    let code = match reply.status.as_u16() {
        200 => String::new(),
        _ => reply.code(),
    };
    assert_eq!((reply.status.as_u16(), code.as_str()), again, "{reply:?}");
    until(&server, "select count(*) = 1 from conversations").await;
}

/// Of a question that is kept nowhere only a reservation may be left, which ends by itself.
#[tokio::test]
async fn what_leaves_nothing_behind_may_be_asked_again() {
    let budget = ["name: free, scope: User, per: Day, requests: 100"];
    let Some((server, gateway, _)) = stored(&budget).await else {
        return;
    };
    hold_commits(&server, "spendings", "deferred").await;
    let holder = lock(&server, "select pg_advisory_xact_lock(7)").await;
    let kept_nowhere = json!({"store": false});
    let reply = ask(&gateway, &kept_nowhere).await;
    let told = (reply.status.as_u16(), reply.code());
    assert_eq!(told, (503, "storage_unavailable".to_owned()));
    holder.commit().await.unwrap();
    let reply = ask(&gateway, &kept_nowhere).await;
    assert_eq!(reply.status.as_u16(), 200, "{reply:?}");
}
