//! `POST /v1/responses`.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::budgets;
use super::orchestrator;
use super::support::{Gateway, Parts, Reply};

fn request(gateway: &Gateway, subject: &str, model: &str, more: &Value) -> Request<Body> {
    let mut body = json!({"model": model, "store": false, "input": "¿Cuántos?"});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    let mut request = gateway.request(Method::POST, "/v1/responses", subject);
    *request.body_mut() = Body::from(body.to_string());
    request
}

async fn ask(gateway: &Gateway, model: &str, more: &Value) -> Reply {
    gateway.send(request(gateway, "ana", model, more)).await
}

async fn gateway() -> Gateway {
    let (orchestrator, _) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        ..Parts::default()
    };
    Gateway::start(parts).await
}

/// The events of a stream. Each has its type as its name and is numbered; there is no other end.
fn events(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let events: Vec<Value> = reply
        .body
        .trim_end()
        .split("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data["type"], name.strip_prefix("event: ").unwrap());
            data
        })
        .collect();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    events
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|it| it["type"].as_str().unwrap())
        .collect()
}

fn weather() -> Value {
    json!([
        {"type": "function", "name": "weather", "parameters": {"type": "object"}},
        {"type": "function", "name": "clock"},
    ])
}

/// The items with which model `caller` answers.
fn calls() -> [Value; 2] {
    let call = |id: &str, name: &str, arguments: &str| {
        json!({"type": "function_call", "status": "completed", "call_id": id, "name": name,
               "arguments": arguments})
    };
    [
        call("call_a", "weather", "{\"city\":\"Rome\"}"),
        call("call_b", "clock", "{}"),
    ]
}

fn without_id(item: &Value) -> Value {
    let mut item = item.clone();
    assert!(item["id"].as_str().unwrap().starts_with("fc_"));
    item.as_object_mut().unwrap().remove("id");
    item
}

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
    });
    gateway.chat("ana", body.to_string()).await;
    let more = json!({
        "instructions": "Be brief.", "input": "?", "max_output_tokens": 50, "temperature": 0.5,
        "tools": [{"type": "function", "name": "clock"}], "tool_choice": "none",
    });
    ask(&gateway, "writer", &more).await;
    let mut requests = seen.requests.lock().unwrap().clone();
    for request in &mut requests {
        request.run_id.clear();
    }
    assert_eq!(requests[0], requests[1]);
}

#[tokio::test]
async fn a_stream_of_text_has_every_event_in_order() {
    let gateway = gateway().await;
    let reply = ask(&gateway, "lotoai", &json!({"stream": true})).await;
    let events = events(&reply);
    assert_eq!(
        kinds(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.annotation.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let created = &events[0]["response"];
    assert_eq!(
        (&created["status"], &created["output"]),
        (&json!("in_progress"), &json!([]))
    );
    assert_eq!(events[2]["item"]["content"], json!([]));
    let item_id = &events[2]["item"]["id"];
    for event in &events[3..9] {
        assert_eq!(
            (&event["item_id"], &event["output_index"]),
            (item_id, &json!(0))
        );
        assert_eq!(event["content_index"], 0);
    }
    let text: String = events[4..6]
        .iter()
        .map(|it| it["delta"].as_str().unwrap())
        .collect();
    assert_eq!(text, "Veintitrés días [1].");
    assert_eq!(events[6]["annotation"]["file_id"], "d");
    assert_eq!(events[7]["text"], text);
    let whole = &events[10]["response"];
    assert_eq!(events[8]["part"], whole["output"][0]["content"][0]);
    assert_eq!(events[9]["item"], whole["output"][0]);
    assert_eq!(
        (&whole["id"], &whole["status"]),
        (&created["id"], &json!("completed"))
    );
    assert_eq!(whole["usage"]["total_tokens"], 17);
    assert_eq!(whole["lotoai"]["citations"][0]["number"], 1);
}

#[tokio::test]
async fn calls_of_functions_are_items() {
    let gateway = gateway().await;
    let reply = ask(&gateway, "caller", &json!({"tools": weather()})).await;
    let response = reply.json();
    assert_eq!(response["tools"], weather());
    let output = response["output"].as_array().unwrap();
    assert_eq!(output[0]["content"][0]["text"], "Let me look.");
    let items: Vec<Value> = output[1..].iter().map(without_id).collect();
    assert_eq!(items, calls());

    let reply = ask(
        &gateway,
        "caller",
        &json!({"tools": weather(), "stream": true}),
    )
    .await;
    let events = events(&reply);
    assert_eq!(
        kinds(&events)[4..],
        [
            "response.output_text.delta",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let begun = &events[5]["item"];
    assert_eq!(
        (&begun["name"], &begun["arguments"]),
        (&json!("weather"), &json!(""))
    );
    assert_eq!(begun["status"], "in_progress");
    assert_eq!(
        (&events[6]["item_id"], &events[6]["output_index"]),
        (&begun["id"], &json!(1))
    );
    let written: String = events[6..8]
        .iter()
        .map(|it| it["delta"].as_str().unwrap())
        .collect();
    assert_eq!(events[13]["arguments"], written);
    assert_eq!(events[13]["name"], "weather");
    let done = [&events[14]["item"], &events[16]["item"]].map(without_id);
    assert_eq!(done, calls());
    let whole = events.last().unwrap()["response"]["output"]
        .as_array()
        .unwrap();
    assert_eq!(whole.len(), 3);
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

#[rstest::rstest]
#[case("breaks", "orchestrator_unavailable", 503)]
#[case("ends-early", "answer_incomplete", 502)]
#[tokio::test]
async fn an_answer_that_breaks_off_is_told(
    #[case] model: &str,
    #[case] code: &str,
    #[case] status: u16,
) {
    let gateway = gateway().await;
    let reply = ask(&gateway, model, &json!({})).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (status, code)
    );
    let reply = ask(&gateway, model, &json!({"stream": true})).await;
    let events = events(&reply);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["status"], "failed");
    assert_eq!(last["response"]["error"]["code"], code);
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "half");
    assert!(!reply.body.contains("10.0.0.7"));
}

#[rstest::rstest]
#[case(json!({"model": "missing"}), 404, "model_not_found", "model")]
#[case(json!({"model": "local", "tools": weather()}), 400, "unsupported_parameter", "tools")]
#[case(json!({"max_tokens": 5}), 400, "unknown_parameter", "max_tokens")]
#[case(json!({"background": true}), 400, "unsupported_parameter", "background")]
#[case(json!({"input": [
    {"role": "user", "content": "?"},
    {"type": "function_call_output", "call_id": "c", "output": "noon"}]}),
    400, "invalid_value", "input")]
#[tokio::test]
async fn refusals_have_openais_shape_and_name_the_field(
    #[case] more: Value,
    #[case] status: u16,
    #[case] code: &str,
    #[case] param: &str,
) {
    let gateway = gateway().await;
    let reply = ask(&gateway, "lotoai", &more).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (status, code),
        "{reply:?}"
    );
    assert_eq!(reply.json()["error"]["param"], param);
}

#[tokio::test]
async fn a_failure_before_the_first_event_has_its_status() {
    let gateway = gateway().await;
    let reply = ask(&gateway, "missing", &json!({"stream": true})).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_response_goes_on_from_the_newest_one_and_from_a_conversation() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let stored = |more: Value| {
        let mut body = json!({"store": true});
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        body
    };
    let first = ask(&gateway, "caller", &stored(json!({"tools": weather()})))
        .await
        .json();
    let conversation = first["conversation"]["id"].as_str().unwrap();
    let results = json!([
        {"type": "function_call_output", "call_id": "call_a", "output": "sunny"},
        {"type": "function_call_output", "call_id": "call_b", "output": "noon"},
    ]);
    let on = |id: &Value, input: &Value| {
        stored(json!({"previous_response_id": id, "input": input, "tools": weather()}))
    };
    let second = ask(&gateway, "writer", &on(&first["id"], &results))
        .await
        .json();
    assert_eq!(second["status"], "completed", "{second}");
    assert_eq!(second["previous_response_id"], first["id"]);
    assert_eq!(second["conversation"]["id"], conversation);
    let third = stored(json!({"conversation": conversation, "input": "And now?"}));
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
    let foreign = stored(json!({"conversation": conversation}));
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

#[tokio::test]
async fn a_stream_is_given_again_byte_by_byte() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let send = |model: &'static str| {
        let more = json!({"store": true, "stream": true});
        let mut request = request(&gateway, "ana", model, &more);
        let headers = request.headers_mut();
        headers.insert("idempotency-key", "k".parse().unwrap());
        gateway.send(request)
    };
    // What failed may be sent again.
    assert!(send("breaks").await.body.contains("response.failed"));
    let first = send("writer").await;
    let again = send("writer").await;
    assert!(first.body.contains("response.completed"), "{first:?}");
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(seen.requests.lock().unwrap().len(), 2);
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
