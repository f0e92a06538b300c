//! A commit that nobody hears of.

use serde_json::json;

use super::budgets::question;
use super::ends::{lock, until};
use super::support::{Gateway, Reply};

async fn ask(gateway: &Gateway) -> Reply {
    let path = "/v1/chat/completions";
    let mut request = gateway.request(axum::http::Method::POST, path, "ana");
    let headers = request.headers_mut();
    headers.insert("idempotency-key", "k".parse().unwrap());
    *request.body_mut() = question("writer", &json!({"store": true})).into();
    gateway.send(request).await
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
    let holding = format!(
        "create function hold() returns trigger language plpgsql as
             $$ begin perform pg_advisory_xact_lock(7); return null; end $$;
         create constraint trigger hold after insert on conversations
             deferrable initially {when} for each row execute function hold()"
    );
    let holding = sqlx::raw_sql(sqlx::AssertSqlSafe(holding));
    holding.execute(&server.pool()).await.unwrap();
    let holder = lock(&server, "select pg_advisory_xact_lock(7)").await;
    let reply = ask(&gateway).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (503, told));
    assert_eq!(reply.header("x-should-retry"), retry, "{reply:?}");
    holder.commit().await.unwrap();
    let reply = ask(&gateway).await;
    let code = match reply.status.as_u16() {
        200 => String::new(),
        _ => reply.code(),
    };
    assert_eq!((reply.status.as_u16(), code.as_str()), again, "{reply:?}");
    until(&server, "select count(*) = 1 from conversations").await;
}
