//! A response at once.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{ask, events, gateway};
use crate::tests::support::{Gateway, Parts};
use crate::tests::{budgets, orchestrator};

#[tokio::test]
async fn a_whole_response_has_text_citations_and_usage() {
    let gateway = gateway().await;
    let more = json!({
        "instructions": "Be brief.", "max_output_tokens": 50, "temperature": 0.5,
        "metadata": {"case": "7"},
    });
    let reply = ask(&gateway, "lotoai", &more).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let response = reply.json();
    let id = response["id"].as_str().unwrap();
    assert!(id.starts_with("resp_"), "{id}");
    for (field, expected) in [
        ("object", json!("response")),
        ("status", json!("completed")),
        ("model", json!("lotoai")),
        ("error", Value::Null),
        ("incomplete_details", Value::Null),
        ("instructions", json!("Be brief.")),
        ("max_output_tokens", json!(50)),
        ("metadata", json!({"case": "7"})),
        ("parallel_tool_calls", json!(true)),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        ("temperature", json!(0.5)),
        ("store", json!(false)),
        ("conversation", Value::Null),
        ("previous_response_id", Value::Null),
    ] {
        assert_eq!(response[field], expected, "{field}");
    }
    assert!(response["completed_at"].as_u64() >= response["created_at"].as_u64());
    let item = &response["output"][0];
    assert_eq!(
        (&item["type"], &item["role"]),
        (&json!("message"), &json!("assistant"))
    );
    assert_eq!(item["status"], "completed");
    let citation = json!({
        "type": "file_citation", "file_id": "d", "filename": "handbook.md", "index": 16,
    });
    let part = json!({
        "type": "output_text", "text": "Veintitrés días [1].", "annotations": [citation],
        "logprobs": [],
    });
    assert_eq!(item["content"], json!([part]));
    let usage = &response["usage"];
    assert_eq!(
        (
            &usage["input_tokens"],
            &usage["output_tokens"],
            &usage["total_tokens"]
        ),
        (&json!(12), &json!(5), &json!(17))
    );
    assert_eq!(response["lotoai"]["decision"]["route"], "knowledge");
    assert_eq!(
        response["lotoai"]["citations"][0]["passage"],
        "Holidays: 23 days"
    );
}

#[tokio::test]
async fn what_is_asked_is_what_a_chat_asks() {
    let (orchestrator, seen) = orchestrator::start().await;
    let gateway = Gateway::start(Parts {
        orchestrator,
        ..Parts::default()
    })
    .await;
    let body = json!({
        "model": "writer", "store": false, "max_tokens": 50, "temperature": 0.5,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}],
        "tools": [{"type": "function", "function": {"name": "clock"}}], "tool_choice": "none",
        "response_format": {"type": "json_schema", "json_schema": {"name": "day", "schema": {}}},
        "top_p": 0.9, "reasoning_effort": "low", "verbosity": "high",
    });
    gateway.chat("ana", body.to_string()).await;
    let more = json!({
        "instructions": "Be brief.", "input": "?", "max_output_tokens": 50, "temperature": 0.5,
        "tools": [{"type": "function", "name": "clock"}], "tool_choice": "none",
        "text": {
            "format": {"type": "json_schema", "name": "day", "schema": {}}, "verbosity": "high",
        },
        "top_p": 0.9, "reasoning": {"effort": "low"},
    });
    ask(&gateway, "writer", &more).await;
    let mut requests = seen.requests.lock().unwrap().clone();
    for request in &mut requests {
        request.run_id.clear();
    }
    assert_eq!(requests[0], requests[1]);
    assert_eq!(requests[0].format.as_ref().unwrap().name, "day");
    let sampling = requests[0].sampling.as_ref().unwrap();
    assert_eq!(
        (
            sampling.top_p,
            sampling.reasoning_effort.as_str(),
            sampling.verbosity.as_str()
        ),
        (Some(0.9), "low", "high")
    );
}

#[tokio::test]
async fn an_answer_that_was_cut_is_incomplete() {
    let gateway = gateway().await;
    let response = ask(&gateway, "long", &json!({})).await.json();
    assert_eq!(response["status"], "incomplete");
    assert_eq!(
        response["incomplete_details"],
        json!({"reason": "max_output_tokens"})
    );
    assert_eq!(response["output"][0]["status"], "incomplete");
    let reply = ask(&gateway, "long", &json!({"stream": true})).await;
    let events = events(&reply);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "so");
}

#[tokio::test]
async fn a_response_counts_in_the_budgets() {
    let day = "name: day, scope: User, per: Day, requests: 1";
    let Some((_server, gateway, _)) = budgets::stored(&[day]).await else {
        return;
    };
    assert_eq!(
        ask(&gateway, "writer", &json!({})).await.status,
        StatusCode::OK
    );
    let refused = ask(&gateway, "writer", &json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (429, "budget_exceeded")
    );
    assert_eq!(refused.json()["error"]["budget"]["name"], "day");
}
