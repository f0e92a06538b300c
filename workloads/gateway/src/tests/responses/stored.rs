//! Responses that go on from others.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{ask, request, storing, weather};
use crate::tests::support::Gateway;

#[tokio::test]
async fn a_response_goes_on_from_the_newest_one_and_from_a_conversation() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let first = ask(&gateway, "caller", &storing(&json!({"tools": weather()})))
        .await
        .json();
    let conversation = first["conversation"]["id"].as_str().unwrap();
    let results = json!([
        {"type": "function_call_output", "call_id": "call_a", "output": "sunny"},
        {"type": "function_call_output", "call_id": "call_b", "output": "noon"},
    ]);
    let on = |id: &Value, input: &Value| {
        storing(&json!({"previous_response_id": id, "input": input, "tools": weather()}))
    };
    let second = ask(&gateway, "writer", &on(&first["id"], &results))
        .await
        .json();
    assert_eq!(second["status"], "completed", "{second}");
    assert_eq!(second["previous_response_id"], first["id"]);
    assert_eq!(second["conversation"]["id"], conversation);
    let third = storing(&json!({"conversation": conversation, "input": "And now?"}));
    let third = ask(&gateway, "writer", &third).await.json();
    assert_eq!(third["conversation"]["id"], conversation);
    {
        let requests = seen.requests.lock().unwrap();
        let roles = |at: usize| -> Vec<String> {
            let messages = requests[at].messages.iter();
            messages.map(|it| it.role.clone()).collect()
        };
        assert_eq!(roles(1), ["user", "assistant", "tool", "tool"]);
        assert_eq!(roles(2), ["user", "assistant", "assistant", "user"]);
    }
    // Not the newest any more.
    let reply = ask(&gateway, "writer", &on(&second["id"], &json!("?"))).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (400, "unsupported_parameter")
    );
    assert_eq!(reply.json()["error"]["param"], "previous_response_id");
    // Somebody else's looks like none, and one that was not stored is none.
    let foreign = request(&gateway, "eve", "writer", &on(&third["id"], &json!("?")));
    let foreign = gateway.send(foreign).await;
    let unknown = json!("resp_019aab4e000070008000000000000000");
    let unknown = request(&gateway, "eve", "writer", &on(&unknown, &json!("?")));
    let unknown = gateway.send(unknown).await;
    assert_eq!(
        (foreign.status, &foreign.body),
        (unknown.status, &unknown.body)
    );
    assert_eq!(
        (foreign.status.as_u16(), foreign.code().as_str()),
        (404, "previous_response_not_found")
    );
    let unstored = ask(&gateway, "writer", &json!({})).await.json();
    let reply = ask(&gateway, "writer", &on(&unstored["id"], &json!("?"))).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let foreign = storing(&json!({"conversation": conversation}));
    let reply = gateway
        .send(request(&gateway, "eve", "writer", &foreign))
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::NOT_FOUND, "conversation_not_found")
    );
    assert_eq!(reply.json()["error"]["param"], "conversation");
    // The control: the newest one.
    let reply = ask(&gateway, "writer", &on(&third["id"], &json!("?"))).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}
