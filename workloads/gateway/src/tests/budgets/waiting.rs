//! Questions that wait for a counter which somebody else is changing.

use serde_json::json;

use super::{question, stored, used};
use crate::tests::ends::{lock, somebody_waits};

#[tokio::test]
async fn a_question_is_weighed_with_what_its_counters_are_when_it_has_waited() {
    let Some((server, gateway, _)) = stored(&[
        "name: free, scope: User, per: Day, requests: 100",
        "name: held, scope: User, per: Day, requests: 10",
    ])
    .await
    else {
        return;
    };
    let ask = || gateway.chat("ana", question("writer", &json!({})));
    // The first question makes the counters.
    assert_eq!(ask().await.status.as_u16(), 200);
    for (change, status, free, held) in [
        ("requests = requests + 5", 200, 2, 7),
        // With that it is used up, which nobody could see before.
        ("requests = requests + 3", 429, 2, 10),
        // The control: there is room again.
        ("requests = requests - 1", 200, 3, 10),
    ] {
        gateway.settle().await;
        let statement = format!("update budget_windows set {change} where budget = 'held'");
        let other = lock(&server, sqlx::AssertSqlSafe(statement)).await;
        let let_go = async {
            somebody_waits(&server).await;
            other.commit().await.unwrap();
        };
        let (reply, ()) = tokio::join!(ask(), let_go);
        assert_eq!(reply.status.as_u16(), status, "{reply:?}");
        let used = used(&gateway, "ana").await;
        assert_eq!(
            (&used["free"]["requests"], &used["held"]["requests"]),
            (&json!(free), &json!(held))
        );
    }
}
