//! How much budgets ask of the database.

use axum::http::StatusCode;
use serde_json::json;

use super::{question, stored};
use crate::tests::statements::Statements;

#[tokio::test]
async fn any_number_of_budgets_takes_two_statements_before_and_one_after() {
    let many: Vec<String> = (0..12)
        .map(|index| format!("name: b{index}, scope: User, per: Day, requests: 1000"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut counts = Vec::new();
    for list in [&many[..1], &many[..]] {
        let Some((_server, gateway, _)) = stored(list).await else {
            return;
        };
        gateway.chat("ana", question("writer", &json!({}))).await;
        gateway.settle().await;
        let asked = async {
            let reply = gateway.chat("ana", question("writer", &json!({}))).await;
            gateway.settle().await;
            reply
        };
        let (reply, mut sent) = Statements::of(asked).await;
        assert_eq!(reply.status, StatusCode::OK);
        // These come with the time that passes and not with a question: a token of another second
        // tells of its groups, and open answers are looked after.
        let of_time = |it: &str| it.contains("key_owners") || it.contains("o.place");
        sent.retain(|it| !of_time(it));
        let count = |word: &str| sent.iter().filter(|it| it.contains(word)).count();
        let counts_now = (
            count("w.budget"),
            count("with begun"),
            count("with answered"),
        );
        assert_eq!(counts_now, (1, 1, 1), "{sent:?}");
        counts.push(sent.len());
    }
    // Beside them, something of the time may have been sent in one of the two.
    assert!(
        counts[1] < counts[0] + many.len() - 1,
        "no statement for each budget: {counts:?}"
    );
}
