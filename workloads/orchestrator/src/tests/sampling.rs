//! How a model is to write: who hears of it, and what comes of it where a model cannot.

use lotoai_contracts::v1::{AnswerRequest, Sampling, answer_event::Event, decision::Route};
use rstest::rstest;

use super::fakes::{World, request, role, stage, text_of, user};

fn world() -> World {
    World {
        passages: vec![("Credentials are stored in Secrets.", 0.9)],
        roles: vec![role("assistant", &[], false), role("writer", &[], true)],
        answer: Some(vec!["In Secrets."]),
        ..World::default()
    }
}

fn sampling() -> Sampling {
    Sampling {
        stop: vec!["END".to_owned()],
        top_p: Some(0.5),
        seed: Some(7),
        presence_penalty: Some(1.0),
        frequency_penalty: Some(-1.0),
        reasoning_effort: "low".to_owned(),
        verbosity: "high".to_owned(),
    }
}

fn asking(model: &str) -> AnswerRequest {
    AnswerRequest {
        sampling: Some(sampling()),
        ..request(model, vec![user("Where are credentials stored?")])
    }
}

fn route_of(events: &[Event]) -> Route {
    match &events[0] {
        Event::Decision(decision) => decision.route(),
        _ => panic!("{events:?}"),
    }
}

#[rstest]
#[case::documents("lotoai", Route::Knowledge)]
#[case::role("assistant", Route::Agent)]
#[tokio::test]
async fn the_model_that_writes_hears_of_it(#[case] model: &str, #[case] route: Route) {
    let stage = stage(world()).await;
    let events = stage.ask(asking(model)).await;
    assert_eq!(route_of(&events), route);
    let seen = stage.completions.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].sampling, Some(sampling()));
}

/// A model that is merely away is another matter: then the sentences have to do.
#[rstest]
#[case::documents("lotoai", Route::Knowledge)]
#[case::role("writer", Route::Agent)]
#[tokio::test]
async fn a_model_that_cannot_is_not_replaced_in_silence(#[case] model: &str, #[case] route: Route) {
    let refusing = World {
        refuses: Some("presence_penalty"),
        ..world()
    };
    let stage = stage(refusing).await;
    let events = stage.ask(asking(model)).await;
    assert_eq!(route_of(&events), route);
    assert_eq!(text_of(&events), "");
    let Some(Event::Failed(failed)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (failed.code.as_str(), failed.param.as_str()),
        ("unsupported_parameter", "presence_penalty")
    );
}
