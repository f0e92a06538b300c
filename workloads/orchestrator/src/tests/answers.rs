//! Every route to its end.

use lotoai_contracts::v1::{
    AnswerFormat, AnswerRequest, Caller, ListModelsRequest, Message, answer_event::Event,
    decision::Route, orchestrator_server::Orchestrator as _,
};
use rstest::rstest;
use tonic::Request;

use super::fakes::{World, request, role, stage, text_of, user};

fn world() -> World {
    World {
        passages: vec![
            (
                "Credentials are stored in Secrets. Pods start in order of their names.",
                0.6,
            ),
            ("The sea is blue and deep.", 0.1),
        ],
        roles: vec![
            role("assistant", &[], false),
            role("writer", &["staff"], false),
            role("lawyer", &["legal"], false),
        ],
        answer: Some(vec!["Hel", "lo."]),
        ..World::default()
    }
}

#[tokio::test]
async fn knowledge_is_extracted_cited_and_decided_first() {
    let stage = stage(world()).await;
    let events = stage
        .ask(request(
            "lotoai",
            vec![user("Where are credentials stored?")],
        ))
        .await;
    let Event::Decision(decision) = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(decision.route(), Route::Knowledge);
    assert_eq!(text_of(&events), "Credentials are stored in Secrets. [1]");
    let Event::Citations(citations) = &events[events.len() - 2] else {
        panic!("{events:?}")
    };
    assert_eq!(citations.citations.len(), 1);
    assert_eq!(
        (
            citations.citations[0].number,
            citations.citations[0].document_name.as_str()
        ),
        (1, "d0.md")
    );
    let Some(Event::Finished(finished)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (finished.model.as_str(), finished.provider.as_str()),
        ("extractive", "lotoai")
    );
    assert_eq!(
        stage.stored(),
        [
            "decide knowledge documents",
            "finish ok extractive [decide extract]"
        ]
    );
    assert!(
        stage.completions.lock().unwrap().is_empty(),
        "no model was asked"
    );
}

#[tokio::test]
async fn nothing_found_is_said_in_the_language_of_the_question() {
    let stage = stage(World {
        passages: Vec::new(),
        ..world()
    })
    .await;
    let events = stage
        .ask(request("lotoai", vec![user("¿Quién pintó Las Meninas?")]))
        .await;
    assert!(
        text_of(&events).starts_with("No he encontrado nada"),
        "{events:?}"
    );
    let Event::Citations(citations) = &events[events.len() - 2] else {
        panic!("{events:?}")
    };
    assert!(citations.citations.is_empty());
}

#[tokio::test]
async fn a_tool_is_called_with_the_arguments_of_the_question() {
    let stage = stage(world()).await;
    let question = "¿Cuántos días laborables hay entre 2026-11-02 y 2026-11-20?";
    let events = stage.ask(request("lotoai", vec![user(question)])).await;
    let Event::Decision(decision) = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (decision.route(), decision.target.as_str()),
        (Route::Tool, "working_days")
    );
    let Event::ToolCall(call) = &events[1] else {
        panic!("{events:?}")
    };
    let arguments: serde_json::Value = serde_json::from_str(&call.arguments_json).unwrap();
    assert_eq!(
        arguments,
        serde_json::json!({"start_date": "2026-11-02", "end_date": "2026-11-20"})
    );
    assert_eq!((call.result_text.as_str(), call.is_error), ("15", false));
    assert_eq!(
        text_of(&events),
        "La herramienta `working_days` responde: 15"
    );
    assert!(matches!(events.last(), Some(Event::Finished(_))));
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_ends_well_so_that_nobody_repeats_it() {
    let world = world();
    world.tool.lock().unwrap().breaks = true;
    let stage = stage(world.clone()).await;
    let question = "How many working days are between 2026-11-02 and 2026-11-20?";
    let events = stage.ask(request("lotoai", vec![user(question)])).await;
    let Event::ToolCall(call) = &events[1] else {
        panic!("{events:?}")
    };
    assert!(call.is_error, "{call:?}");
    let said = text_of(&events);
    assert!(said.starts_with("It is not known whether"), "{said}");
    assert!(matches!(events.last(), Some(Event::Finished(_))));
    assert_eq!(world.tool.lock().unwrap().calls.len(), 1);
}

#[tokio::test]
async fn a_missing_argument_is_asked_for_and_the_reply_is_understood() {
    let stage = stage(world()).await;
    let first =
        user("How many working days are there between 2026-11-02 and the end? Use working_days");
    let events = stage.ask(request("lotoai", vec![first.clone()])).await;
    let asked = text_of(&events);
    assert!(
        asked.contains("`end_date` (Last day, YYYY-MM-DD)"),
        "{asked}"
    );
    let reply = Message {
        role: "assistant".to_owned(),
        content: asked,
        ..Message::default()
    };
    let events = stage
        .ask(request("lotoai", vec![first, reply, user("2026-11-20")]))
        .await;
    assert_eq!(text_of(&events), "The tool `working_days` answers: 15");
}

#[tokio::test]
async fn a_tool_that_cannot_says_so() {
    let stage = stage(world()).await;
    let question = "How many working days are between 2026-11-02 and 2999-01-01?";
    let events = stage.ask(request("lotoai", vec![user(question)])).await;
    let Event::ToolCall(call) = &events[1] else {
        panic!("{events:?}")
    };
    assert!(call.is_error);
    assert!(text_of(&events).contains("could not answer: end_date is too far away"));
}

#[tokio::test]
async fn a_named_role_answers_even_when_everything_else_is_down() {
    let down = World {
        rag_down: true,
        models_down: true,
        mcp_down: true,
        ..world()
    };
    let stage = stage(down).await;
    let events = stage
        .ask(request("writer", vec![user("Write a line")]))
        .await;
    assert_eq!(text_of(&events), "Hello.");
    let Some(Event::Finished(finished)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(finished.model, "m");
    assert_eq!(
        stage.stored(),
        ["decide agent writer", "finish ok m [complete]"]
    );
    assert_eq!(stage.completions.lock().unwrap()[0].max_tokens, Some(512));
}

#[tokio::test]
async fn a_role_that_is_asked_by_name_gets_the_rest_of_the_sentence() {
    let stage = stage(world()).await;
    stage
        .ask(request("lotoai", vec![user("Ask the writer: a haiku")]))
        .await;
    let seen = stage.completions.lock().unwrap().clone();
    assert_eq!(
        (seen[0].role.as_str(), seen[0].messages[0].content.as_str()),
        ("writer", "a haiku")
    );
}

/// More than is routed of a question.
fn long_text() -> String {
    format!("{}the last word", "let x = 1;\n".repeat(3_000))
}

#[rstest]
#[case::by_rule(AnswerRequest::default())]
#[case::with_a_format(AnswerRequest { format: Some(AnswerFormat::default()), ..Default::default() })]
#[tokio::test]
async fn a_role_that_is_asked_by_name_gets_a_long_text_to_its_last_word(
    #[case] besides: AnswerRequest,
) {
    let stage = stage(World {
        roles: vec![role("coder", &[], true)],
        ..world()
    })
    .await;
    let text = format!("fix this: {}", long_text());
    let turns = vec![
        user("Hello"),
        Message {
            role: "assistant".to_owned(),
            content: "Hello.".to_owned(),
            ..Message::default()
        },
        user(&format!("@coder {text}\n")),
    ];
    let asked = AnswerRequest {
        format: besides.format,
        ..request("lotoai", turns.clone())
    };
    stage.ask(asked).await;
    let seen = stage.completions.lock().unwrap()[0].messages.clone();
    assert_eq!(seen[..2], turns[..2], "the rest of the conversation stays");
    assert!(seen[2].content == text, "{} bytes", seen[2].content.len());
}

#[tokio::test]
async fn a_long_question_is_answered_from_the_passages_as_a_whole() {
    let stage = stage(World {
        roles: vec![role("assistant", &[], true)],
        ..world()
    })
    .await;
    let question = format!("Where are credentials stored?\n{}", long_text());
    stage.ask(request("lotoai", vec![user(&question)])).await;
    let seen = stage.completions.lock().unwrap()[0].messages.clone();
    assert!(seen[0].content.contains("<passage"), "the control");
    assert!(seen[0].content.ends_with(&question));
}

#[tokio::test]
async fn a_role_of_other_groups_looks_like_no_model() {
    let stage = stage(world()).await;
    for model in ["lawyer", "nobody"] {
        let events = stage.ask(request(model, vec![user("Hello")])).await;
        let [Event::Failed(failed)] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(failed.code, "unknown_model");
        assert!(
            failed
                .message
                .starts_with(&format!("model `{model}` does not exist"))
        );
    }
    let caller = Caller {
        groups: vec!["staff".to_owned()],
        ..Caller::default()
    };
    let request = ListModelsRequest {
        caller: Some(caller),
    };
    let models = stage
        .service
        .list_models(Request::new(request))
        .await
        .unwrap()
        .into_inner();
    let ids: Vec<&str> = models
        .models
        .iter()
        .map(|model| model.id.as_str())
        .collect();
    assert_eq!(ids, ["lotoai", "assistant", "writer"]);
}

#[tokio::test]
async fn a_capable_role_writes_from_the_passages_and_invents_no_number() {
    let capable = World {
        roles: vec![role("assistant", &[], true)],
        answer: Some(vec!["In Secrets [", "1] and [9]."]),
        ..world()
    };
    let stage = stage(capable).await;
    let events = stage
        .ask(request(
            "lotoai",
            vec![user("Where are credentials stored?")],
        ))
        .await;
    assert_eq!(text_of(&events), "In Secrets [1] and .");
    let Event::Citations(citations) = &events[events.len() - 2] else {
        panic!("{events:?}")
    };
    assert_eq!(citations.citations.len(), 1);
    let prompt = stage.completions.lock().unwrap()[0].messages[0]
        .content
        .clone();
    assert!(
        prompt.contains("<passage number=\"1\">\nCredentials are stored"),
        "{prompt}"
    );
}

#[tokio::test]
async fn the_sentences_answer_when_the_capable_role_cannot_begin() {
    let capable = World {
        roles: vec![role("assistant", &[], true)],
        answer: None,
        ..world()
    };
    let stage = stage(capable).await;
    let events = stage
        .ask(request(
            "lotoai",
            vec![user("Where are credentials stored?")],
        ))
        .await;
    assert_eq!(text_of(&events), "Credentials are stored in Secrets. [1]");
}

#[tokio::test]
async fn the_probe_goes_everywhere_and_stores_nothing() {
    let stage = stage(world()).await;
    let events = stage
        .ask(request(
            "probe",
            vec![user("When is the probe question answered?")],
        ))
        .await;
    assert!(
        text_of(&events).contains("is answered when the platform works. [1]"),
        "{events:?}"
    );
    assert!(matches!(events.last(), Some(Event::Finished(f)) if f.model == "extractive"));
    assert!(stage.stored().is_empty());
    assert!(stage.completions.lock().unwrap().is_empty());
}
