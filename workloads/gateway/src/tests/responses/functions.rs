//! Calls of the caller's functions in a response.

use serde_json::{Value, json};

use super::{ask, calls, events, gateway, kinds, weather, without_id};

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
