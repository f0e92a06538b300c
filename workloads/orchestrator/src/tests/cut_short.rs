//! Runs that are ended while a tool works: nobody asks again, and the tool server hears of it.

use std::{sync::Arc, time::Duration};

use lotoai_contracts::v1::{answer_event::Event, orchestrator_server::Orchestrator as _};
use rstest::rstest;
use tokio::{sync::Notify, time::timeout};
use tokio_stream::StreamExt as _;
use tonic::Request;

use super::fakes::{Stage, World, request, role, stage, text_of, user};

/// How long a test waits for anything.
const LIMIT: Duration = Duration::from_secs(20);
const QUESTION: &str = "How many working days are between 2026-11-02 and 2026-11-20?";

fn world() -> World {
    let world = World {
        roles: vec![role("writer", &[], true)],
        ..World::default()
    };
    world.tool.lock().unwrap().hangs = true;
    world
}

/// Waits until the tool has told as much.
async fn told(world: &World, expected: &[&str]) {
    let mut news = world.tool.lock().unwrap().news.subscribe();
    let told = timeout(LIMIT, news.wait_for(|news| *news == expected)).await;
    assert!(told.is_ok(), "the tool does not tell {expected:?}");
}

/// What ends a run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    Time,
    Stop,
}

impl Cause {
    fn world(self) -> World {
        World {
            seconds: (self == Self::Time).then_some(3),
            ..world()
        }
    }

    fn comes(self, stage: &Stage) {
        if self == Self::Stop {
            stage.stop.cancel();
        }
    }
}

#[rstest]
#[case(Cause::Time)]
#[case(Cause::Stop)]
#[tokio::test]
async fn a_run_that_is_ended_while_it_calls_a_tool_ends_well_so_that_nobody_repeats_it(
    #[case] cause: Cause,
) {
    let world = cause.world();
    let stage = stage(world.clone()).await;
    let ending = async {
        told(&world, &["begun"]).await;
        cause.comes(&stage);
    };
    let asked = request("lotoai", vec![user(QUESTION)]);
    let (events, ()) = tokio::join!(stage.ask(asked), ending);
    let Event::ToolCall(call) = &events[1] else {
        panic!("{events:?}")
    };
    assert!(call.is_error, "{call:?}");
    let said = text_of(&events);
    assert!(said.starts_with("It is not known whether"), "{said}");
    assert!(matches!(events.last(), Some(Event::Finished(_))));
    assert_eq!(
        stage.stored(),
        [
            "decide tool working_days",
            "finish ok extractive [decide call_tool]"
        ]
    );
    assert_eq!(world.tool.lock().unwrap().calls.len(), 1);
    told(&world, &["begun", "left"]).await;
}

#[rstest]
#[case(Cause::Time)]
#[case(Cause::Stop)]
#[tokio::test]
async fn a_run_that_calls_no_tool_may_be_repeated(#[case] cause: Cause) {
    let world = World {
        endless: Some(Arc::new(Notify::new())),
        ..cause.world()
    };
    let stage = stage(world).await;
    let asked = Request::new(request("writer", vec![user("Write on and on.")]));
    let answer = stage.service.answer(asked).await.unwrap().into_inner();
    let mut events = answer.map(|event| event.unwrap().event.unwrap());
    while !matches!(events.next().await.unwrap(), Event::Delta(_)) {}
    cause.comes(&stage);
    let Some(Event::Failed(failed)) = timeout(LIMIT, events.next()).await.unwrap() else {
        panic!("no failure")
    };
    assert_eq!((failed.code.as_str(), failed.retryable), ("timeout", true));
    assert_eq!(failed.model_asked, Some(true));
}

#[tokio::test]
async fn a_tool_hears_that_the_person_has_left() {
    let world = world();
    let stage = stage(world.clone()).await;
    let asked = Request::new(request("lotoai", vec![user(QUESTION)]));
    let answer = stage.service.answer(asked).await.unwrap();
    told(&world, &["begun"]).await;
    drop(answer);
    told(&world, &["begun", "left"]).await;
}
