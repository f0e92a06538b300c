//! Functions of the caller, at each kind of provider.

use super::*;
use crate::breaker::FAILURES_TO_OPEN;
use crate::functions::{Call, CallPiece, Choice, Function, Functions};
use crate::schema::SchemaText;

const OPENAI_CALLS: &str = include_str!("../../../tests/golden/openai-tools.sse");
const ANTHROPIC_CALLS: &str = include_str!("../../../tests/golden/anthropic-tools.sse");

fn schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
}

fn weather() -> Functions {
    Functions {
        declared: vec![
            Function {
                name: "weather".to_owned(),
                description: "The weather of a city".to_owned(),
                parameters: SchemaText::of(schema().to_string()),
                strict: Some(true),
            },
            Function {
                name: "clock".to_owned(),
                description: String::new(),
                parameters: None,
                strict: None,
            },
        ],
        choice: Choice::Auto,
        parallel: Some(false),
    }
}

fn call(id: &str, name: &str, arguments: &str) -> Call {
    Call {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

/// A question, two calls and their results.
fn loop_of_calls() -> Vec<Turn> {
    let result = |id: &str, text: &str| Turn {
        answers: Some(id.to_owned()),
        ..Turn::said(Speaker::Tool, text)
    };
    vec![
        Turn::said(Speaker::User, "Weather in Rome, and the time?"),
        Turn {
            calls: vec![
                call("c1", "weather", r#"{"city":"Rome"}"#),
                call("c2", "clock", "not JSON"),
            ],
            ..Turn::said(Speaker::Assistant, "")
        },
        result("c1", "sunny"),
        result("c2", "noon"),
    ]
}

/// Runs an ask with functions and gives every piece that the caller saw.
async fn run_with(
    completer: &Completer,
    turns: Vec<Turn>,
    functions: Option<Functions>,
) -> (Vec<Piece>, Result<Finished, Failure>) {
    let (sender, mut receiver) = mpsc::channel(64);
    let ask = Ask {
        turns,
        functions,
        ..ask()
    };
    let result = completer.complete(&ask, &sender).await;
    drop(sender);
    let mut pieces = Vec::new();
    while let Some(piece) = receiver.recv().await {
        pieces.push(piece);
    }
    (pieces, result)
}

fn piece(index: u32, id: &str, name: &str, arguments: &str) -> Piece {
    Piece::Call(CallPiece {
        index,
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    })
}

/// The body of the one request that a server has seen.
pub(super) async fn sent(server: &MockServer) -> Value {
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    serde_json::from_slice(&requests[0].body).unwrap()
}

#[tokio::test]
async fn chat_completions_take_functions_and_stream_calls() {
    let server = serve(sse(OPENAI_CALLS)).await;
    let completer = completer(table("OpenAI", &server.uri()));
    let (pieces, result) = run_with(&completer, loop_of_calls(), Some(weather())).await;
    let expected = [
        piece(0, "call_a", "weather", ""),
        piece(0, "", "", "{\"city\":"),
        piece(0, "", "", "\"Rome\"}"),
        piece(1, "call_b", "clock", ""),
        piece(1, "", "", "{}"),
    ];
    assert_eq!(pieces, expected);
    let finished = result.unwrap();
    assert_eq!(finished.finish_reason, "tool_calls");
    assert_eq!(
        (finished.usage.input, finished.usage.output),
        (Some(82), Some(17))
    );
    let body = sent(&server).await;
    let described = json!({
        "name": "weather", "description": "The weather of a city",
        "parameters": schema(), "strict": true,
    });
    assert_eq!(
        body["tools"],
        json!([
            {"type": "function", "function": described},
            {"type": "function", "function": {"name": "clock"}},
        ])
    );
    assert_eq!(
        (&body["tool_choice"], &body["parallel_tool_calls"]),
        (&json!("auto"), &json!(false))
    );
    let called = |id: &str, name: &str, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        json!({"id": id, "type": "function", "function": function})
    };
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather in Rome, and the time?"},
            {"role": "assistant", "content": null, "tool_calls": [
                called("c1", "weather", "{\"city\":\"Rome\"}"), called("c2", "clock", "not JSON"),
            ]},
            {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
            {"role": "tool", "content": "noon", "tool_call_id": "c2"},
        ])
    );
}

#[tokio::test]
async fn without_functions_a_request_says_nothing_of_them() {
    let server = serve(sse(OPENAI_STREAM)).await;
    run(&completer(table("OpenAI", &server.uri())))
        .await
        .1
        .unwrap();
    let body = sent(&server).await;
    for field in ["tools", "tool_choice", "parallel_tool_calls"] {
        assert!(body.get(field).is_none(), "{body}");
    }
}

#[rstest]
#[case(Choice::Unspecified, Value::Null, json!({"type": "auto"}))]
#[case(Choice::Auto, json!("auto"), json!({"type": "auto"}))]
#[case(Choice::None, json!("none"), json!({"type": "none"}))]
#[case(Choice::Required, json!("required"), json!({"type": "any"}))]
#[case(
    Choice::Named("clock".to_owned()),
    json!({"type": "function", "function": {"name": "clock"}}),
    json!({"type": "tool", "name": "clock"})
)]
#[tokio::test]
async fn a_choice_is_said_in_each_providers_words(
    #[case] choice: Choice,
    #[case] openai: Value,
    #[case] anthropic: Value,
) {
    for (kind, stream, expected) in [
        ("OpenAICompatible", OPENAI_STREAM, openai),
        ("Anthropic", ANTHROPIC_STREAM, anthropic),
    ] {
        let server = serve(sse(stream)).await;
        let functions = Functions {
            choice: choice.clone(),
            parallel: None,
            ..weather()
        };
        let completer = completer(table(kind, &server.uri()));
        let question = vec![Turn::said(Speaker::User, "?")];
        run_with(&completer, question, Some(functions))
            .await
            .1
            .unwrap();
        assert_eq!(sent(&server).await["tool_choice"], expected, "{kind}");
    }
}

#[tokio::test]
async fn anthropic_messages_take_functions_and_stream_calls() {
    let server = serve(sse(ANTHROPIC_CALLS)).await;
    let completer = completer(table("Anthropic", &server.uri()));
    let (pieces, result) = run_with(&completer, loop_of_calls(), Some(weather())).await;
    let expected = [
        Piece::Text("Let me look.".to_owned()),
        piece(0, "toolu_a", "weather", ""),
        piece(0, "", "", "{\"city\": "),
        piece(0, "", "", "\"Rome\"}"),
        piece(1, "toolu_b", "clock", ""),
        piece(1, "", "", "{}"),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(result.unwrap().finish_reason, "tool_calls");
    let body = sent(&server).await;
    assert_eq!(
        body["tools"],
        json!([
            {"name": "weather", "description": "The weather of a city", "input_schema": schema()},
            {"name": "clock", "input_schema": {"type": "object", "properties": {}}},
        ])
    );
    assert_eq!(
        body["tool_choice"],
        json!({"type": "auto", "disable_parallel_tool_use": true})
    );
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": "Weather in Rome, and the time?"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "c2", "name": "clock", "input": {"text": "not JSON"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "sunny"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "noon"},
            ]},
        ])
    );
}

#[rstest]
#[case(Some(weather()), vec![Turn::said(Speaker::User, "?")], "tools")]
#[case(None, loop_of_calls(), "messages")]
#[tokio::test]
async fn a_model_without_tools_says_so_and_is_not_asked(
    #[case] functions: Option<Functions>,
    #[case] turns: Vec<Turn>,
    #[case] param: &str,
) {
    let local = serve(sse(OPENAI_STREAM)).await;
    let completer = completer(table("Local", &local.uri()));
    for _ in 0..=FAILURES_TO_OPEN {
        let (pieces, result) = run_with(&completer, turns.clone(), functions.clone()).await;
        let failure = result.unwrap_err();
        assert!(pieces.is_empty() && !failure.retryable);
        assert_eq!(
            (failure.kind.code(), failure.kind.param()),
            ("unsupported_parameter", param)
        );
        assert!(
            failure.message.contains(&format!("`{param}`")),
            "{}",
            failure.message
        );
    }
    assert!(local.received_requests().await.unwrap().is_empty());
    // The control: without functions the same model answers, so no breaker has opened either.
    assert_eq!(run(&completer).await.0, "Hello, world.");
}

#[tokio::test]
async fn the_next_model_takes_what_a_local_one_cannot() {
    let far = serve(sse(OPENAI_CALLS)).await;
    let local = serve(sse(OPENAI_STREAM)).await;
    let table = local_first(&local.uri(), &far.uri());
    let (_, result) = run_with(&completer(table), loop_of_calls(), Some(weather())).await;
    assert_eq!(result.unwrap().model, "m2");
    assert!(local.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_provider_that_is_away_is_no_lack_of_tools() {
    let broken = serve(ResponseTemplate::new(500)).await;
    let local = serve(sse(OPENAI_STREAM)).await;
    let completer = completer(two(&broken.uri(), &local.uri()));
    let (_, result) = run_with(&completer, loop_of_calls(), Some(weather())).await;
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.retryable && failure.message.contains("knows no tools"));
}

#[tokio::test]
async fn a_call_that_never_began_is_a_failure() {
    let body = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\
                \"function\":{\"arguments\":\"{}\"}}]}}]}\n\n";
    let server = serve(sse(body)).await;
    let completer = completer(table("OpenAI", &server.uri()));
    let (_, result) = run_with(&completer, loop_of_calls(), Some(weather())).await;
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(
        failure.message.contains("has not begun"),
        "{}",
        failure.message
    );
}
