//! What is refused, and how.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{ask, gateway, weather};

#[rstest::rstest]
#[case(json!({"model": "missing"}), 404, "model_not_found", "model")]
#[case(json!({"model": "local", "tools": weather()}), 400, "unsupported_parameter", "tools")]
#[case(json!({"model": "local", "text": {"format": {"type": "json_object"}}}),
    400, "unsupported_parameter", "text.format")]
#[case(json!({"model": "local", "reasoning": {"effort": "low"}}),
    400, "unsupported_parameter", "reasoning.effort")]
#[case(json!({"top_logprobs": 1}), 400, "unsupported_parameter", "top_logprobs")]
#[case(json!({"top_p": 2}), 400, "invalid_value", "top_p")]
#[case(json!({"text": {"format": {"type": "xml"}}}), 400, "invalid_value", "text.format.type")]
#[case(json!({"max_tokens": 5}), 400, "unknown_parameter", "max_tokens")]
#[case(json!({"background": true}), 400, "invalid_value", "background")]
#[case(json!({"stream_options": {"resumable": true}}),
    400, "unsupported_parameter", "stream_options.resumable")]
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
