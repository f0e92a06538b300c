//! What happens when a far side is away, and what bad requests get.

use lotoai_contracts::v1::{AnswerRequest, answer_event::Event};
use rstest::rstest;

use super::fakes::{World, request, role, stage, text_of, user};

fn world() -> World {
    World {
        passages: vec![("Credentials are stored in Secrets of the cluster.", 0.6)],
        roles: vec![role("assistant", &[], false)],
        answer: Some(vec!["Hello."]),
        ..World::default()
    }
}

fn failed(events: &[Event]) -> (&str, &str, bool) {
    match events.last() {
        Some(Event::Failed(failed)) => (&failed.code, &failed.message, failed.retryable),
        _ => panic!("no failure at the end of {events:?}"),
    }
}

fn model_asked(events: &[Event]) -> Option<bool> {
    match events.last() {
        Some(Event::Failed(failed)) => failed.model_asked,
        _ => panic!("no failure at the end of {events:?}"),
    }
}

#[rstest]
#[case::rag(World { rag_down: true, ..world() }, "rag-server")]
#[case::models(World { models_down: true, ..world() }, "model-server")]
#[case::mcp(World { mcp_down: true, ..world() }, "mcp-server")]
#[case::agents(World { agents_down: true, ..world() }, "agents")]
#[tokio::test]
async fn the_probe_names_the_hop_that_failed(#[case] world: World, #[case] hop: &str) {
    let stage = stage(world).await;
    let events = stage
        .ask(request("probe", vec![user("Does it work?")]))
        .await;
    let (code, message, retryable) = failed(&events);
    assert_eq!((code, retryable), ("probe_failed", true));
    assert!(message.contains(&format!("failed at {hop}:")), "{message}");
}

#[tokio::test]
async fn tools_that_are_away_do_not_stop_an_answer_from_the_documents() {
    let stage = stage(World {
        mcp_down: true,
        ..world()
    })
    .await;
    let events = stage
        .ask(request(
            "lotoai",
            vec![user("Where are credentials stored?")],
        ))
        .await;
    let Event::Decision(decision) = &events[0] else {
        panic!("{events:?}")
    };
    assert!(
        decision.reason.contains("mcp_server_unavailable"),
        "{}",
        decision.reason
    );
    assert!(text_of(&events).contains("Secrets"));
}

#[tokio::test]
async fn nothing_is_guessed_when_the_search_is_away() {
    let stage = stage(World {
        rag_down: true,
        ..world()
    })
    .await;
    let events = stage
        .ask(request(
            "lotoai",
            vec![user("Where are credentials stored?")],
        ))
        .await;
    let (code, message, retryable) = failed(&events);
    assert_eq!((code, retryable), ("rag_server_unavailable", true));
    assert!(message.contains("try again"), "{message}");
    assert_eq!(model_asked(&events), Some(false));
    assert_eq!(stage.stored(), ["finish rag_server_unavailable  [decide]"]);
}

#[tokio::test]
async fn a_role_that_fails_ends_with_its_reason() {
    let stage = stage(World {
        answer: None,
        ..world()
    })
    .await;
    let events = stage.ask(request("assistant", vec![user("Hello")])).await;
    assert_eq!(failed(&events), ("provider_unavailable", "set KEY", false));
    assert_eq!(model_asked(&events), Some(true));
    assert_eq!(
        stage.stored(),
        [
            "decide agent assistant",
            "finish provider_unavailable  [complete]"
        ]
    );
}

#[rstest]
#[case::run_id(AnswerRequest { run_id: "x".into(), ..request("lotoai", vec![user("Hi")]) }, "run_id")]
#[case::caller(AnswerRequest { caller: None, ..request("lotoai", vec![user("Hi")]) }, "caller.subject")]
#[case::empty(request("lotoai", Vec::new()), "messages")]
#[case::blank(request("lotoai", vec![user("  ")]), "messages")]
#[case::many(request("lotoai", vec![user("Hi"); 513]), "513")]
#[tokio::test]
async fn a_bad_request_is_refused_by_field(#[case] request: AnswerRequest, #[case] field: &str) {
    let stage = stage(world()).await;
    let events = stage.ask(request).await;
    let (code, message, retryable) = failed(&events);
    assert_eq!(
        (code, retryable, events.len()),
        ("invalid_request", false, 1)
    );
    assert_eq!(model_asked(&events), Some(false));
    assert!(message.contains(field), "{message}");
}
