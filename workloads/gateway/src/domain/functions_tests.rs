use axum::http::StatusCode;
use serde_json::json;

use super::*;

fn parse(request: &Value, dialect: Dialect) -> Result<Option<Functions>, Failure> {
    of_request(&Fields::of(request, "").unwrap(), dialect)
}

fn weather(dialect: Dialect) -> Value {
    let function = json!({
        "name": "weather", "description": "of a city", "strict": true,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    });
    match dialect {
        Dialect::Nested => json!({"type": "function", "function": function}),
        Dialect::Flat => {
            let mut flat = function;
            flat["type"] = json!("function");
            flat
        }
    }
}

fn named(dialect: Dialect, name: &str) -> Value {
    match dialect {
        Dialect::Nested => json!({"type": "function", "function": {"name": name}}),
        Dialect::Flat => json!({"type": "function", "name": name}),
    }
}

#[rstest::rstest]
fn both_dialects_say_the_same(#[values(Dialect::Nested, Dialect::Flat)] dialect: Dialect) {
    let request = json!({
        "tools": [weather(dialect), named(dialect, "clock")],
        "tool_choice": named(dialect, "clock"), "parallel_tool_calls": false,
    });
    let functions = parse(&request, dialect).unwrap().unwrap();
    let [weather, clock] = functions.declared.as_slice() else {
        panic!("{functions:?}")
    };
    assert_eq!(
        (
            weather.name.as_str(),
            weather.description.as_str(),
            weather.strict
        ),
        ("weather", "of a city", Some(true))
    );
    let schema: Value = serde_json::from_str(&weather.parameters_json).unwrap();
    assert_eq!(schema["properties"]["city"]["type"], "string");
    assert_eq!((clock.parameters_json.as_str(), clock.strict), ("", None));
    let choice = functions.choice.unwrap();
    assert_eq!(
        (choice.mode(), choice.name.as_str()),
        (Mode::Named, "clock")
    );
    assert_eq!(functions.parallel, Some(false));
}

#[rstest::rstest]
#[case("auto", Mode::Auto)]
#[case("none", Mode::None)]
#[case("required", Mode::Required)]
fn a_choice_may_be_a_word(#[case] word: &str, #[case] mode: Mode) {
    let request = json!({"tools": [weather(Dialect::Flat)], "tool_choice": word});
    let functions = parse(&request, Dialect::Flat).unwrap().unwrap();
    assert_eq!(functions.choice.unwrap().mode(), mode);
}

#[test]
fn without_tools_there_are_no_functions() {
    for request in [
        json!({}),
        json!({"tools": null, "tool_choice": null}),
        json!({"tools": [], "tool_choice": "auto", "parallel_tool_calls": true}),
        json!({"tool_choice": "none"}),
    ] {
        assert_eq!(parse(&request, Dialect::Nested).unwrap(), None, "{request}");
    }
}

#[rstest::rstest]
#[case(json!({"tools": {}}), "tools")]
#[case(json!({"tools": vec![named(Dialect::Nested, "f"); 129]}), "tools")]
#[case(json!({"tools": ["f"]}), "tools[0]")]
#[case(json!({"tools": [{"function": {"name": "f"}}]}), "tools[0].type")]
#[case(json!({"tools": [{"type": "function"}]}), "tools[0].function")]
#[case(json!({"tools": [{"type": "function", "function": {}}]}), "tools[0].function.name")]
#[case(json!({"tools": [named(Dialect::Nested, "año")]}), "tools[0].function.name")]
#[case(json!({"tools": [named(Dialect::Nested, "")]}), "tools[0].function.name")]
#[case(json!({"tools": [named(Dialect::Nested, &"x".repeat(65))]}), "tools[0].function.name")]
#[case(json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}),
       "tools[0].function.parameters")]
#[case(json!({"tools": [{"type": "function", "function": {"name": "f", "strict": 1}}]}),
       "tools[0].function.strict")]
#[case(json!({"tool_choice": "sometimes"}), "tool_choice")]
#[case(json!({"tool_choice": "required"}), "tool_choice")]
#[case(json!({"tool_choice": 1}), "tool_choice")]
#[case(json!({"tool_choice": named(Dialect::Nested, "f")}), "tool_choice")]
#[case(json!({"tool_choice": {"type": "function"}}), "tool_choice.function")]
#[case(json!({"parallel_tool_calls": "yes"}), "parallel_tool_calls")]
fn a_bad_field_is_named(#[case] request: Value, #[case] param: &str) {
    let failure = parse(&request, Dialect::Nested).unwrap_err();
    assert_eq!(failure.status, StatusCode::BAD_REQUEST);
    assert_eq!(failure.param.as_deref(), Some(param), "{failure:?}");
}

#[rstest::rstest]
#[case(json!({"tools": [{"type": "web_search"}]}), "tools[0].type")]
#[case(json!({"tools": [{"type": "custom", "name": "f"}]}), "tools[0].type")]
#[case(json!({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}),
       "tool_choice.type")]
fn tools_that_are_no_functions_are_not_supported(#[case] request: Value, #[case] param: &str) {
    let failure = parse(&request, Dialect::Flat).unwrap_err();
    assert_eq!(failure.code, "unsupported_parameter");
    assert_eq!(failure.param.as_deref(), Some(param));
}

#[rstest::rstest]
#[case(json!({"tool_calls": {}}), "m.tool_calls")]
#[case(json!({"tool_calls": [1]}), "m.tool_calls[0]")]
#[case(json!({"tool_calls": [{"id": "a", "type": "custom"}]}), "m.tool_calls[0].type")]
#[case(json!({"tool_calls": [{"type": "function"}]}), "m.tool_calls[0].id")]
#[case(json!({"tool_calls": [{"type": "function", "id": ""}]}), "m.tool_calls[0].id")]
#[case(json!({"tool_calls": [{"type": "function", "id": "a"}]}), "m.tool_calls[0].function")]
#[case(json!({"tool_calls": [{"type": "function", "id": "a", "function": {"name": "f"}}]}),
       "m.tool_calls[0].function.arguments")]
fn a_bad_call_is_named(#[case] message: Value, #[case] param: &str) {
    let failure = of_message(&Fields::of(&message, "m").unwrap()).unwrap_err();
    assert_eq!(failure.param.as_deref(), Some(param), "{failure:?}");
}

fn said(role: &str, content: &str) -> Message {
    Message {
        role: role.into(),
        content: content.into(),
        ..Message::default()
    }
}

fn calling(content: &str, ids: &[&str]) -> Message {
    let calls = ids.iter().map(|id| FunctionCall {
        id: (*id).into(),
        ..FunctionCall::default()
    });
    Message {
        function_calls: calls.collect(),
        ..said("assistant", content)
    }
}

fn result(id: &str) -> Message {
    Message {
        function_call_id: id.into(),
        ..said("tool", "noon")
    }
}

#[test]
fn a_conversation_with_every_result_holds_together() {
    let whole = [
        said("user", "?"),
        calling("", &["a", "b"]),
        result("b"),
        result("a"),
        calling("more", &["a"]),
        result("a"),
        said("assistant", "It is noon."),
    ];
    check(&whole).unwrap();
    // Text of a tool that nobody called is text.
    check(&[said("tool", "noon")]).unwrap();
}

#[rstest::rstest]
#[case::no_result(vec![calling("", &["a"])], "\"a\" has no result")]
#[case::one_missing(vec![calling("", &["a", "b"]), result("a")], "\"b\" has no result")]
#[case::too_late(vec![calling("", &["a"]), said("user", "?"), result("a")], "\"a\" has no result")]
#[case::no_call(vec![said("user", "?"), result("a")], "\"a\" has a result")]
#[case::twice(vec![calling("", &["a"]), result("a"), result("a")], "\"a\" has a result")]
fn what_does_not_hold_together_is_named(#[case] messages: Vec<Message>, #[case] mentions: &str) {
    let failure = check(&messages).unwrap_err();
    assert_eq!(failure.param.as_deref(), Some("messages"));
    assert!(failure.message.contains(mentions), "{}", failure.message);
}

#[test]
fn history_keeps_calls_whose_results_are_all_there() {
    let history = vec![
        // Its call is beyond what an answer looks back on.
        result("old"),
        said("user", "?"),
        calling("", &["a"]),
        result("a"),
        // Left by the caller, who asked something else.
        calling("Let me look.", &["b"]),
        said("user", "And now?"),
        calling("", &["c", "d"]),
    ];
    let sent = [result("c"), result("d")];
    let mut kept = mended(history.clone(), &sent, true);
    let expected = [
        said("user", "?"),
        calling("", &["a"]),
        result("a"),
        said("assistant", "Let me look."),
        said("user", "And now?"),
        calling("", &["c", "d"]),
    ];
    assert_eq!(kept, expected);
    kept.extend(sent);
    check(&kept).unwrap();
    // Half of the results are none.
    let kept = mended(history.clone(), &[result("c")], true);
    assert_eq!(kept, expected[..5]);
    // Who brings no functions hears of no calls.
    let texts = [
        said("user", "?"),
        said("assistant", "Let me look."),
        said("user", "And now?"),
    ];
    assert_eq!(mended(history, &[said("user", "Bye")], false), texts);
}
