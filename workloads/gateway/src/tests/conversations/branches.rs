//! Conversations that go on from a message of another.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{NOBODYS, messages, send, talk, titles};
use crate::tests::support::Gateway;

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
