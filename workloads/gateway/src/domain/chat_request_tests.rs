use axum::http::StatusCode;

use super::*;
use serde_json::json;

fn parse(value: Value) -> Result<ChatRequest, Failure> {
    ChatRequest::parse(value.to_string().as_bytes())
}

fn minimal() -> Value {
    json!({"model": "lotoai", "messages": [{"role": "user", "content": "hola"}]})
}

fn with(field: &str, value: Value) -> Value {
    let mut request = minimal();
    request[field] = value;
    request
}

#[test]
fn the_smallest_request_has_the_documented_defaults() {
    let request = parse(minimal()).unwrap();
    assert_eq!(request.model, "lotoai");
    assert_eq!(request.question(), "hola");
    assert!(request.store && !request.stream && !request.include_usage);
    assert_eq!((request.max_tokens, request.conversation_id), (None, None));
    assert_eq!(request.sampling, Sampling::default());
}

#[test]
fn what_real_clients_send_is_understood() {
    let request = parse(json!({
        "model": "lotoai",
        "messages": [
            {"role": "developer", "content": "Be brief.", "name": "x"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "tool", "content": "4", "tool_call_id": "1"},
            {"role": "user", "content": "and now?"},
        ],
        "stream": true, "stream_options": {"include_usage": true}, "n": 1, "max_tokens": null,
        "max_completion_tokens": 5, "temperature": 0, "top_p": 1, "user": "u", "seed": 7,
        "parallel_tool_calls": true, "response_format": {"type": "text"}, "store": false,
        "metadata": {"conversation_id": "019aab4e-0000-7000-8000-000000000000", "other": "x"},
    }))
    .unwrap();
    assert_eq!(request.messages[0].role, "system");
    assert_eq!(request.messages[1].content, "a\nb");
    assert_eq!(request.question(), "and now?");
    assert!(request.stream && request.include_usage && !request.store);
    assert_eq!(request.max_tokens, Some(5));
    assert!(request.conversation_id.is_some());
    assert_eq!(
        (request.sampling.top_p, request.sampling.seed),
        (Some(1.0), Some(7))
    );
}

#[test]
fn functions_and_what_came_of_them_are_read() {
    let call = json!({"id": "c", "type": "function",
                      "function": {"name": "clock", "arguments": "{}"}});
    let request = parse(json!({
        "model": "writer",
        "messages": [
            {"role": "user", "content": "The time?"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "content": [{"type": "text", "text": "noon"}], "tool_call_id": "c"},
        ],
        "tools": [{"type": "function", "function": {"name": "clock"}}],
    }))
    .unwrap();
    assert!(request.brings_functions());
    assert_eq!(request.functions.unwrap().declared[0].name, "clock");
    let [_, asking, result] = request.messages.as_slice() else {
        panic!("{:?}", request.messages)
    };
    assert_eq!(asking.function_calls[0].arguments_json, "{}");
    assert_eq!(
        (result.function_call_id.as_str(), result.content.as_str()),
        ("c", "noon")
    );
    assert!(!parse(minimal()).unwrap().brings_functions());
}

#[test]
fn what_came_of_a_function_goes_on_in_a_stored_conversation_only() {
    let result = json!([{"role": "tool", "content": "noon", "tool_call_id": "c"}]);
    let mut request = with("messages", result);
    assert_eq!(
        parse(request.clone()).unwrap_err().param.as_deref(),
        Some("messages")
    );
    request["metadata"] = json!({"conversation_id": "019aab4e-0000-7000-8000-000000000000"});
    assert!(parse(request).is_ok());
}

#[rstest::rstest]
#[case(with("functions", json!([])), "functions")]
#[case(with("function_call", json!("auto")), "function_call")]
#[case(with("tools", json!([{"type": "custom"}])), "tools[0].type")]
#[case(with("n", json!(2)), "n")]
#[case(with("logit_bias", json!({"1": 5})), "logit_bias")]
fn what_is_not_supported_is_named(#[case] request: Value, #[case] param: &str) {
    let failure = parse(request).unwrap_err();
    assert_eq!(
        (failure.status, failure.code.as_ref()),
        (StatusCode::BAD_REQUEST, "unsupported_parameter")
    );
    assert_eq!(failure.param.as_deref(), Some(param));
}

#[test]
fn the_probe_stores_nothing() {
    assert!(!parse(with("model", json!("probe"))).unwrap().store);
}

#[rstest::rstest]
#[case(json!({"messages": [{"role": "user", "content": "x"}]}), "model")]
#[case(with("model", json!(7)), "model")]
#[case(with("model", json!("")), "model")]
#[case(with("model", json!("a b")), "model")]
#[case(with("model", json!("x".repeat(129))), "model")]
#[case(json!({"model": "lotoai"}), "messages")]
#[case(with("messages", json!([])), "messages")]
#[case(with("messages", json!("hi")), "messages")]
#[case(with("messages", json!([{"role": "system", "content": "x"}])), "messages")]
#[case(with("messages", json!([{"role": "user", "content": "  "}])), "messages")]
#[case(with("messages", json!(["hi"])), "messages[0]")]
#[case(with("messages", json!([{"content": "x"}])), "messages[0].role")]
#[case(with("messages", json!([{"role": "robot", "content": "x"}])), "messages[0].role")]
#[case(with("messages", json!([{"role": 1, "content": "x"}])), "messages[0].role")]
#[case(with("messages", json!([{"role": "user"}])), "messages[0].content")]
#[case(with("messages", json!([{"role": "user", "content": 5}])), "messages[0].content")]
#[case(with("messages", json!([{"role": "user", "content": "a\u{0}b"}])), "messages[0].content")]
#[case(with("messages", json!([{"role": "user", "content": [{"type": "image_url"}]}])),
       "messages[0].content[0].type")]
#[case(with("messages", json!([{"role": "user", "content": [{"type": "text"}]}])),
       "messages[0].content[0].text")]
#[case(with("messages", json!([{"role": "user", "content": [{"type": "refusal", "refusal": "x"}]}])),
       "messages[0].content[0].type")]
#[case(with("messages", json!([{"role": "tool", "content": "x"}])), "messages[0].tool_call_id")]
#[case(with("messages", json!([{"role": "assistant", "tool_calls": [{}]}])),
       "messages[0].tool_calls[0].type")]
#[case(with("tools", json!("clock")), "tools")]
#[case(with("response_format", json!({"type": "xml"})), "response_format.type")]
#[case(with("stream", json!("yes")), "stream")]
#[case(with("stream_options", json!([])), "stream_options")]
#[case(with("stream_options", json!({"include_usage": 1})), "stream_options.include_usage")]
#[case(with("stream_options", json!({"resumable": 1})), "stream_options.resumable")]
#[case(with("stream_options", json!({"resumable": true})), "stream_options.resumable")]
#[case(with("max_tokens", json!(-1)), "max_tokens")]
#[case(with("max_tokens", json!(0)), "max_tokens")]
#[case(with("max_tokens", json!(1.5)), "max_tokens")]
#[case(with("max_tokens", json!("9")), "max_tokens")]
#[case(with("max_completion_tokens", json!(-1)), "max_completion_tokens")]
#[case(with("temperature", json!(3)), "temperature")]
#[case(with("temperature", json!("hot")), "temperature")]
#[case(with("n", json!(0)), "n")]
#[case(with("stop", json!("")), "stop")]
#[case(with("seed", json!("x")), "seed")]
#[case(with("store", json!("no")), "store")]
#[case(with("metadata", json!("x")), "metadata")]
#[case(with("metadata", json!({"conversation_id": "x"})), "metadata.conversation_id")]
fn a_bad_field_is_named(#[case] request: Value, #[case] param: &str) {
    let failure = parse(request).unwrap_err();
    assert_eq!(failure.status, StatusCode::BAD_REQUEST);
    assert_eq!(failure.param.as_deref(), Some(param));
}

#[rstest::rstest]
#[case("colour")]
#[case("conversation_id")]
#[case("Model")]
#[case("")]
fn an_unknown_parameter_is_named(#[case] name: &str) {
    let failure = parse(with(name, json!(null))).unwrap_err();
    assert_eq!(failure.status, StatusCode::BAD_REQUEST);
    assert_eq!(failure.code, "unknown_parameter");
    assert_eq!(failure.param.as_deref(), Some(name));
    assert!(failure.message.contains(&format!("{name:?}")));
}

#[test]
fn every_parameter_of_openai_is_taken() {
    for name in PARAMETERS {
        // Absent, as `null` says: some of them have values that are refused.
        let request = match name {
            "model" | "messages" => minimal(),
            name => with(name, json!(null)),
        };
        assert!(parse(request).is_ok(), "{name}");
    }
}

#[test]
fn too_many_messages_are_refused_and_the_limit_is_not() {
    let messages = |count: usize| json!(vec![json!({"role": "user", "content": "x"}); count]);
    assert!(parse(with("messages", messages(MAX_MESSAGES))).is_ok());
    assert!(parse(with("messages", messages(MAX_MESSAGES + 1))).is_err());
}

#[rstest::rstest]
#[case(b"".as_slice())]
#[case(br#"{"model": "lotoai", "mess"#)]
#[case(b"\xff\xfe{}")]
#[case(b"{} trailing")]
fn what_is_not_json_is_said_to_be_so(#[case] body: &[u8]) {
    assert_eq!(ChatRequest::parse(body).unwrap_err().code, "invalid_json");
}

#[rstest::rstest]
#[case(b"[]".as_slice())]
#[case(b"null")]
#[case(b"\"text\"")]
fn json_that_is_no_object_is_refused(#[case] body: &[u8]) {
    let failure = ChatRequest::parse(body).unwrap_err();
    assert!(failure.message.contains("must be a JSON object"));
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow() {
    for (depth, code) in [(8_000, "invalid_json"), (500_000, "request_too_large")] {
        let body = "[".repeat(depth);
        let failure = ChatRequest::parse(body.as_bytes()).unwrap_err();
        assert_eq!(failure.code, code);
    }
}
