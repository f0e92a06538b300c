//! Functions of the caller, through chat completions.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::chat::{events, question};
use super::orchestrator;
use super::support::{Gateway, Parts};

fn tools() -> Value {
    let weather = json!({"name": "weather", "parameters": {"type": "object"}});
    json!([
        {"type": "function", "function": weather},
        {"type": "function", "function": {"name": "clock"}},
    ])
}

/// What came of the two calls that model `caller` makes.
fn results() -> Value {
    json!([
        {"role": "tool", "tool_call_id": "call_a", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_b", "content": "noon"},
    ])
}

#[tokio::test]
async fn declared_functions_go_to_the_orchestrator_and_calls_come_back() {
    let (orchestrator, seen) = orchestrator::start().await;
    let gateway = Gateway::start(Parts {
        orchestrator,
        ..Parts::default()
    })
    .await;
    let more = json!({"tools": tools(), "tool_choice": "required", "parallel_tool_calls": true});
    let reply = gateway.chat("ana", question("caller", &more)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let answer = reply.json();
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], "Let me look.");
    let call = |id: &str, name: &str, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        json!({"id": id, "type": "function", "function": function})
    };
    assert_eq!(
        choice["message"]["tool_calls"],
        json!([
            call("call_a", "weather", "{\"city\":\"Rome\"}"),
            call("call_b", "clock", "{}"),
        ])
    );
    // Those of the platform are others.
    assert_eq!(answer["lotoai"]["tool_calls"], json!([]));
    let requests = seen.requests.lock().unwrap();
    let functions = requests[0].functions.as_ref().unwrap();
    assert_eq!(functions.declared[0].name, "weather");
    assert_eq!(
        functions.declared[0].parameters_json,
        "{\"type\":\"object\"}"
    );
    assert_eq!(functions.parallel, Some(true));
}

#[tokio::test]
async fn calls_are_streamed_in_pieces() {
    let (orchestrator, _) = orchestrator::start().await;
    let gateway = Gateway::start(Parts {
        orchestrator,
        ..Parts::default()
    })
    .await;
    let more = json!({"tools": tools(), "stream": true});
    let chunks = events(&gateway.chat("ana", question("caller", &more)).await);
    let deltas: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"])
        .filter(|delta| !delta.is_null())
        .collect();
    let begin = |index: u32, id: &str, name: &str, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        json!([{"index": index, "id": id, "type": "function", "function": function}])
    };
    let more = |arguments: &str| json!([{"index": 0, "function": {"arguments": arguments}}]);
    let expected = [
        begin(0, "call_a", "weather", ""),
        more("{\"city\":"),
        more("\"Rome\"}"),
        begin(1, "call_b", "clock", "{}"),
    ];
    assert_eq!(deltas, expected.iter().collect::<Vec<_>>());
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "tool_calls");
}

#[rstest::rstest]
#[case(false)]
#[case(true)]
#[tokio::test]
async fn a_model_that_knows_no_tools_is_said_by_field(#[case] stream: bool) {
    let (orchestrator, _) = orchestrator::start().await;
    let gateway = Gateway::start(Parts {
        orchestrator,
        ..Parts::default()
    })
    .await;
    let body = question("local", &json!({"tools": tools(), "stream": stream}));
    let reply = gateway.chat("ana", body).await;
    if stream {
        // The decision was told before.
        let chunks = events(&reply);
        let error = &chunks.last().unwrap()["error"];
        assert_eq!(
            (&error["code"], &error["param"], &error["type"]),
            (
                &json!("unsupported_parameter"),
                &json!("tools"),
                &json!("invalid_request_error")
            )
        );
    } else {
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(reply.code(), "unsupported_parameter");
        assert_eq!(reply.json()["error"]["param"], "tools");
    }
    // The control.
    let reply = gateway.chat("ana", question("local", &json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[rstest::rstest]
#[case::no_call(json!([{"role": "user", "content": "?"}, results()[0]]))]
#[case::no_result(json!([
    {"role": "user", "content": "?"},
    {"role": "assistant", "tool_calls": [
        {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
]))]
#[tokio::test]
async fn calls_without_results_and_results_without_calls_are_refused(#[case] messages: Value) {
    let (orchestrator, seen) = orchestrator::start().await;
    let gateway = Gateway::start(Parts {
        orchestrator,
        ..Parts::default()
    })
    .await;
    let body = question("caller", &json!({"tools": tools(), "messages": messages}));
    let reply = gateway.chat("ana", body).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reply:?}");
    assert_eq!(reply.json()["error"]["param"], "messages");
    assert!(seen.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stored_conversation_goes_on_with_what_came_of_its_calls() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let first = json!({"tools": tools(), "store": true});
    let first = gateway.chat("ana", question("caller", &first)).await.json();
    let id = first["lotoai"]["conversation_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let on = |messages: Value, tools: Value| {
        json!({
            "store": true, "metadata": {"conversation_id": id}, "messages": messages,
            "tools": tools,
        })
    };
    let only_one = json!([results()[0]]);
    let reply = gateway
        .chat("ana", question("caller", &on(only_one, tools())))
        .await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reply:?}");
    let reply = gateway
        .chat("ana", question("writer", &on(results(), tools())))
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let another = json!([{"role": "user", "content": "And now?"}]);
    let reply = gateway
        .chat("ana", question("lotoai", &on(another, Value::Null)))
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    {
        let requests = seen.requests.lock().unwrap();
        let roles = |at: usize| -> Vec<String> {
            let messages = requests[at].messages.iter();
            messages.map(|it| it.role.clone()).collect()
        };
        assert_eq!(roles(1), ["user", "assistant", "tool", "tool"]);
        assert_eq!(requests[1].messages[1].function_calls[1].id, "call_b");
        assert_eq!(requests[1].messages[3].function_call_id, "call_b");
        // Who brings no functions hears the texts alone.
        assert_eq!(roles(2), ["user", "assistant", "assistant", "user"]);
        assert!(!requests[2].messages.iter().any(|it| it.is_of_functions()));
    }
    let path = format!("/api/conversations/{id}");
    let stored = gateway.get(&path, "ana").await.json();
    let messages = &stored["messages"];
    assert_eq!(messages[1]["function_calls"][0]["name"], "weather");
    assert_eq!(
        messages[1]["function_calls"][0]["arguments"],
        "{\"city\":\"Rome\"}"
    );
    assert_eq!(messages[2]["function_call_id"], "call_a");
    assert_eq!(messages[4]["function_calls"], json!([]));
}
