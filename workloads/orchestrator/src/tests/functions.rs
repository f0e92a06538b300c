//! Functions of the caller, and the format that it wants: who gets them, and what comes back.

use lotoai_contracts::v1::{
    AnswerFormat, AnswerRequest, Function, FunctionCall, FunctionCallDelta, Functions, Message,
    answer_event::Event, decision::Route,
};
use rstest::rstest;

use super::fakes::{World, request, role, stage, text_of, user};

fn piece(id: &str, name: &str, arguments: &str) -> FunctionCallDelta {
    FunctionCallDelta {
        index: 0,
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

/// Documents and tools would answer, were they asked.
fn world() -> World {
    World {
        passages: vec![("Credentials are stored in Secrets.", 0.9)],
        roles: vec![
            role("lawyer", &["legal"], true),
            role("assistant", &[], false),
            role("writer", &["staff"], true),
            role("painter", &[], true),
        ],
        answer: Some(vec!["Let me look."]),
        calls: vec![piece("c1", "weather", ""), piece("", "", "{}")],
        ..World::default()
    }
}

fn functions() -> Functions {
    Functions {
        declared: vec![Function {
            name: "weather".to_owned(),
            parameters_json: "{}".to_owned(),
            ..Function::default()
        }],
        ..Functions::default()
    }
}

fn asking(model: &str, question: &str) -> AnswerRequest {
    AnswerRequest {
        functions: Some(functions()),
        ..request(model, vec![user(question)])
    }
}

#[rstest]
#[case::automatic("lotoai", "Where are credentials stored?", "writer")]
#[case::named("painter", "Where are credentials stored?", "painter")]
#[case::asked("lotoai", "@painter a sunset", "painter")]
#[tokio::test]
async fn a_role_answers_and_its_calls_come_back(
    #[case] model: &str,
    #[case] question: &str,
    #[case] target: &str,
) {
    let down = World {
        rag_down: true,
        models_down: true,
        mcp_down: true,
        ..world()
    };
    let stage = stage(down).await;
    let events = stage.ask(asking(model, question)).await;
    let Event::Decision(decision) = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (decision.route(), decision.target.as_str()),
        (Route::Agent, target)
    );
    assert_eq!(text_of(&events), "Let me look.");
    let calls: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::FunctionCall(piece) => Some(piece.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(calls, world().calls);
    assert!(matches!(events.last(), Some(Event::Finished(_))));
    let seen = stage.completions.lock().unwrap();
    assert_eq!(seen[0].functions, Some(functions()));
}

#[tokio::test]
async fn results_go_to_the_role_that_was_asked_before() {
    let stage = stage(world()).await;
    let call = FunctionCall {
        id: "c1".to_owned(),
        name: "weather".to_owned(),
        arguments_json: "{}".to_owned(),
    };
    let messages = vec![
        user("How many working days are between 2026-11-02 and 2026-11-20?"),
        Message {
            role: "assistant".to_owned(),
            function_calls: vec![call],
            ..Message::default()
        },
        Message {
            role: "tool".to_owned(),
            content: "sunny".to_owned(),
            function_call_id: "c1".to_owned(),
            ..Message::default()
        },
    ];
    // Even when the functions are not declared again.
    stage.ask(request("lotoai", messages.clone())).await;
    let seen = stage.completions.lock().unwrap();
    assert_eq!(seen[0].role, "writer");
    assert_eq!(seen[0].messages, messages);
}

#[tokio::test]
async fn without_functions_the_documents_answer() {
    let stage = stage(world()).await;
    let question = user("Where are credentials stored?");
    let empty = AnswerRequest {
        functions: Some(Functions::default()),
        ..request("lotoai", vec![question])
    };
    let events = stage.ask(empty).await;
    let Event::Decision(decision) = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(decision.route(), Route::Knowledge);
}

fn formatted(model: &str) -> AnswerRequest {
    AnswerRequest {
        format: Some(AnswerFormat {
            name: "place".to_owned(),
            schema_json: "{}".to_owned(),
            ..AnswerFormat::default()
        }),
        ..request(model, vec![user("Where are credentials stored?")])
    }
}

#[rstest]
#[case::automatic("lotoai", "writer")]
#[case::named("painter", "painter")]
#[tokio::test]
async fn a_format_goes_to_a_role(#[case] model: &str, #[case] target: &str) {
    let stage = stage(world()).await;
    let asked = formatted(model);
    let events = stage.ask(asked.clone()).await;
    let Event::Decision(decision) = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (decision.route(), decision.target.as_str()),
        (Route::Agent, target)
    );
    assert!(!decision.reason.contains("tools"), "{}", decision.reason);
    let seen = stage.completions.lock().unwrap();
    assert_eq!(seen[0].format, asked.format);
}

#[tokio::test]
async fn the_probe_names_a_format() {
    let stage = stage(world()).await;
    let events = stage.ask(formatted("probe")).await;
    let Some(Event::Failed(failed)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (failed.code.as_str(), failed.param.as_str()),
        ("unsupported_parameter", "response_format")
    );
}

#[rstest]
#[case::role("assistant")]
#[case::probe("probe")]
#[tokio::test]
async fn who_knows_no_tools_names_the_field(#[case] model: &str) {
    let stage = stage(world()).await;
    let events = stage.ask(asking(model, "Weather?")).await;
    let Some(Event::Failed(failed)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (failed.code.as_str(), failed.param.as_str()),
        ("unsupported_parameter", "tools")
    );
}

#[tokio::test]
async fn without_a_role_there_is_nobody_to_ask() {
    let only = World {
        roles: vec![role("lawyer", &["legal"], true)],
        ..world()
    };
    let stage = stage(only).await;
    let events = stage.ask(asking("lotoai", "Weather?")).await;
    let [Event::Failed(failed)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(failed.code, "unknown_model");
    assert!(stage.completions.lock().unwrap().is_empty());
}
