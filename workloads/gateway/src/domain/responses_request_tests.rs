use super::*;

const CONVERSATION: &str = "019aab4e-0000-7000-8000-000000000000";

fn parse(value: Value) -> Result<ResponsesRequest, Failure> {
    ResponsesRequest::parse(value.to_string().as_bytes())
}

fn with(field: &str, value: Value) -> Value {
    let mut request = json!({"model": "lotoai", "input": "hola"});
    request[field] = value;
    request
}

fn repeated(request: &ResponsesRequest) -> Value {
    serde_json::from_str(request.question.repeated.as_deref().unwrap()).unwrap()
}

fn roles(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|it| it.role.as_str()).collect()
}

#[test]
fn the_smallest_request_has_the_documented_defaults() {
    let request = parse(with("stream", json!(null))).unwrap();
    let question = &request.question;
    assert_eq!(
        (question.model.as_str(), question.question()),
        ("lotoai", "hola")
    );
    assert!(question.store && !question.stream && question.functions.is_none());
    assert_eq!(
        (
            question.max_tokens,
            question.conversation_id,
            request.previous
        ),
        (None, None, None)
    );
    let repeated = repeated(&request);
    assert_eq!(repeated["tool_choice"], "auto");
    assert_eq!(repeated["tools"], json!([]));
    assert_eq!(repeated["temperature"], Value::Null);
    assert!(!parse(with("model", json!("probe"))).unwrap().question.store);
}

#[test]
fn what_real_clients_send_is_understood() {
    let tool = json!({"type": "function", "name": "clock", "parameters": null, "strict": true});
    let request = parse(json!({
        "model": "writer", "instructions": "Be brief.",
        "input": [
            {"role": "developer", "content": "In English."},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
             "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "clock",
             "arguments": "{}", "status": "completed"},
            {"type": "function_call", "call_id": "c2", "name": "clock", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "noon"},
            {"type": "function_call_output", "call_id": "c2",
             "output": [{"type": "input_text", "text": "one"}]},
            {"type": "function_call", "call_id": "c3", "name": "clock", "arguments": "{}"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"type": "function_call_output", "call_id": "c3", "output": ""},
        ],
        "tools": [tool], "tool_choice": {"type": "function", "name": "clock"},
        "parallel_tool_calls": false, "max_output_tokens": 5, "temperature": 0, "stream": true,
        "store": false, "metadata": {"case": "7"}, "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low"}, "text": {"format": {"type": "text"}, "verbosity": "low"},
        "truncation": "disabled", "top_p": 1, "user": "u", "service_tier": "auto",
        "background": false, "stream_options": {"include_obfuscation": false},
    }))
    .unwrap();
    let question = &request.question;
    let messages = &question.messages;
    assert_eq!(
        roles(messages),
        [
            "system",
            "system",
            "user",
            "assistant",
            "tool",
            "tool",
            "assistant",
            "tool"
        ]
    );
    assert_eq!(
        (messages[0].content.as_str(), messages[2].content.as_str()),
        ("Be brief.", "a\nb")
    );
    assert_eq!(messages[3].content, "Let me look.");
    let ids: Vec<_> = messages[3]
        .function_calls
        .iter()
        .map(|it| it.id.as_str())
        .collect();
    assert_eq!(ids, ["c1", "c2"]);
    assert_eq!(
        (
            messages[5].content.as_str(),
            messages[5].function_call_id.as_str()
        ),
        ("one", "c2")
    );
    assert_eq!(
        (
            messages[6].content.as_str(),
            messages[6].function_calls.len()
        ),
        ("No.", 1)
    );
    functions::check(messages).unwrap();
    assert_eq!(
        question.functions.as_ref().unwrap().declared[0].strict,
        Some(true)
    );
    assert!(question.stream && !question.store);
    assert_eq!(
        (question.max_tokens, question.temperature),
        (Some(5), Some(0.0))
    );
    let sampling = &question.sampling;
    assert_eq!(
        (
            sampling.top_p,
            sampling.reasoning_effort.as_str(),
            sampling.verbosity.as_str()
        ),
        (Some(1.0), "low", "low")
    );
    let repeated = repeated(&request);
    assert_eq!(repeated["metadata"], json!({"case": "7"}));
    assert_eq!(repeated["tools"], json!([tool]));
    assert_eq!(
        (&repeated["store"], &repeated["truncation"]),
        (&json!(false), &json!("auto"))
    );
    assert!(repeated.get("input").is_none());
}

#[rstest::rstest]
#[case(json!(true), true)]
#[case(json!(false), false)]
#[case(json!(null), false)]
fn what_is_asked_for_in_the_background_can_be_come_back_to(
    #[case] value: Value,
    #[case] expected: bool,
) {
    let request = parse(with("background", value)).unwrap();
    assert_eq!(request.question.resumable, expected);
    assert_eq!(repeated(&request)["background"], expected);
}

#[test]
fn what_is_gone_on_with_is_a_conversation_or_a_response() {
    for value in [json!(CONVERSATION), json!({"id": CONVERSATION})] {
        let request = parse(with("conversation", value)).unwrap();
        assert_eq!(
            request.question.conversation_id.unwrap().to_string(),
            CONVERSATION
        );
    }
    let run = Uuid::parse_str(CONVERSATION).unwrap();
    let request = parse(with("previous_response_id", json!(id_of(run)))).unwrap();
    assert_eq!(request.previous, Some(run));
    assert_eq!(
        repeated(&request)["previous_response_id"],
        json!(id_of(run))
    );
    // What came of a function is something to answer then, and only then.
    let output = json!([{"type": "function_call_output", "call_id": "c", "output": "noon"}]);
    let mut request = with("input", output);
    assert_eq!(
        parse(request.clone()).unwrap_err().param.as_deref(),
        Some("input")
    );
    request["previous_response_id"] = json!(id_of(run));
    assert!(parse(request.clone()).is_ok());
    request["conversation"] = json!(CONVERSATION);
    assert_eq!(
        parse(request).unwrap_err().param.as_deref(),
        Some("previous_response_id")
    );
}

#[rstest::rstest]
#[case(json!({"input": "x"}), "model")]
#[case(with("model", json!("a b")), "model")]
#[case(json!({"model": "lotoai"}), "input")]
#[case(with("input", json!([])), "input")]
#[case(with("input", json!({})), "input")]
#[case(with("input", json!("  ")), "input")]
#[case(with("input", json!([{"role": "system", "content": "x"}])), "input")]
#[case(with("input", json!(vec![json!({"role": "user", "content": "x"}); 201])), "input")]
#[case(with("input", json!(["hi"])), "input[0]")]
#[case(with("input", json!([{"content": "x"}])), "input[0].role")]
#[case(with("input", json!([{"role": "tool", "content": "x"}])), "input[0].role")]
#[case(with("input", json!([{"role": "user"}])), "input[0].content")]
#[case(with("input", json!([{"role": "user", "content": 5}])), "input[0].content")]
#[case(with("input", json!([{"role": "user", "content": "a\u{0}b"}])), "input[0].content")]
#[case(with("input", json!([{"role": "user", "content": [{"type": "input_image"}]}])),
       "input[0].content[0].type")]
#[case(with("input", json!([{"role": "user", "content": [{"type": "refusal", "refusal": "x"}]}])),
       "input[0].content[0].type")]
#[case(with("input", json!([{"type": "function_call", "name": "f", "arguments": ""}])),
       "input[0].call_id")]
#[case(with("input", json!([{"type": "function_call", "call_id": "c", "arguments": ""}])),
       "input[0].name")]
#[case(with("input", json!([{"type": "function_call", "call_id": "c", "name": "f"}])),
       "input[0].arguments")]
#[case(with("input", json!([{"type": "function_call_output", "call_id": "c"}])),
       "input[0].output")]
#[case(with("input", json!([{"type": "function_call_output", "output": "x"}])),
       "input[0].call_id")]
#[case(with("instructions", json!(["x"])), "instructions")]
#[case(with("stream", json!("yes")), "stream")]
#[case(with("store", json!("no")), "store")]
#[case(with("background", json!("yes")), "background")]
#[case(json!({"model": "probe", "input": "x", "background": true}), "background")]
#[case(json!({"model": "lotoai", "input": "x", "background": true, "store": false}), "background")]
#[case(with("stream_options", json!({"resumable": 1})), "stream_options.resumable")]
#[case(with("max_output_tokens", json!(0)), "max_output_tokens")]
#[case(with("temperature", json!(3)), "temperature")]
#[case(with("reasoning", json!({"effort": "huge"})), "reasoning.effort")]
#[case(with("metadata", json!("x")), "metadata")]
#[case(with("metadata", json!({"n": 1})), "metadata")]
#[case(with("metadata", json!({"n": "x".repeat(513)})), "metadata")]
#[case(with("conversation", json!("x")), "conversation")]
#[case(with("conversation", json!({})), "conversation")]
#[case(with("text", json!([])), "text")]
#[case(with("tools", json!({})), "tools")]
#[case(with("tools", json!([{"type": "function"}])), "tools[0].name")]
#[case(with("tool_choice", json!("required")), "tool_choice")]
#[case(with("text", json!("plain")), "text")]
#[case(with("text", json!({"format": {"type": "xml"}})), "text.format.type")]
#[case(with("text", json!({"format": {"type": "json_schema"}})), "text.format.schema")]
fn a_bad_field_is_named(#[case] request: Value, #[case] param: &str) {
    let failure = parse(request).unwrap_err();
    assert_eq!(failure.status.as_u16(), 400);
    assert_eq!(failure.param.as_deref(), Some(param), "{failure:?}");
}

#[rstest::rstest]
#[case(with("stream_options", json!({"resumable": true})), "stream_options.resumable")]
#[case(with("top_logprobs", json!(1)), "top_logprobs")]
#[case(with("include", json!(["message.output_text.logprobs"])), "include")]
#[case(with("prompt", json!({"id": "p"})), "prompt")]
#[case(with("tools", json!([{"type": "web_search"}])), "tools[0].type")]
#[case(with("tool_choice", json!({"type": "file_search"})), "tool_choice.type")]
fn what_is_not_supported_is_named(#[case] request: Value, #[case] param: &str) {
    let failure = parse(request).unwrap_err();
    assert_eq!(
        (failure.status.as_u16(), failure.code.as_ref()),
        (400, "unsupported_parameter")
    );
    assert_eq!(failure.param.as_deref(), Some(param));
}

#[rstest::rstest]
#[case("item_reference")]
#[case("reasoning")]
fn items_that_are_not_understood_are_refused(#[case] kind: &str) {
    let failure = parse(with("input", json!([{"type": kind, "id": "x"}]))).unwrap_err();
    assert_eq!(failure.code, "unsupported_content");
    assert_eq!(failure.param.as_deref(), Some("input[0].type"));
}

#[rstest::rstest]
#[case("messages")]
#[case("max_tokens")]
#[case("colour")]
fn an_unknown_parameter_is_named(#[case] name: &str) {
    let failure = parse(with(name, json!(null))).unwrap_err();
    assert_eq!(failure.code, "unknown_parameter");
    assert_eq!(failure.param.as_deref(), Some(name));
}

#[test]
fn every_parameter_of_openai_is_taken() {
    for name in PARAMETERS {
        // Absent, as `null` says: some of them have values that are refused.
        let request = match name {
            "model" | "input" => with("stream", json!(false)),
            name => with(name, json!(null)),
        };
        assert!(parse(request).is_ok(), "{name}");
    }
}

#[rstest::rstest]
#[case("resp_x")]
#[case("019aab4e-0000-7000-8000-000000000000")]
#[case("")]
fn an_id_of_no_response_is_not_found(#[case] id: &str) {
    let failure = parse(with("previous_response_id", json!(id))).unwrap_err();
    assert_eq!(
        (failure.status.as_u16(), failure.code.as_ref()),
        (404, "previous_response_not_found")
    );
}
