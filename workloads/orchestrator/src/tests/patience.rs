//! Which searches are made again, and for how long.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use lotoai_contracts::v1::{answer_event::Event, orchestrator_server::Orchestrator as _};
use lotoai_kit::tls::TlsArgs;
use rstest::rstest;
use secrecy::SecretString;
use tokio::time::timeout;
use tonic::{Code, Request, Status};

use super::fakes::{World, request, role, stage, text_of, user};
use crate::rag::{Missed, PATIENCE, Rag};

/// How long a test waits for anything.
const LIMIT: Duration = Duration::from_secs(20);
/// Of the 30 s of a request in these tests.
const QUARTER: Duration = Duration::from_millis(7_500);
const QUESTION: &str = "Where are credentials stored?";

fn world(faults: &[Code]) -> World {
    let world = World {
        passages: vec![("Credentials are stored in Secrets of the cluster.", 0.6)],
        roles: vec![role("assistant", &[], false)],
        answer: Some(vec!["Hello."]),
        ..World::default()
    };
    world.rag_faults.lock().unwrap().extend(faults);
    world
}

fn code_of_end(events: &[Event]) -> &str {
    match events.last() {
        Some(Event::Failed(failed)) => &failed.code,
        Some(Event::Finished(_)) => "ok",
        _ => panic!("no end in {events:?}"),
    }
}

#[tokio::test]
async fn a_search_that_finds_nobody_is_made_again() {
    let world = world(&[Code::Unavailable; 3]);
    let stage = stage(world.clone()).await;
    let events = stage.ask(request("lotoai", vec![user(QUESTION)])).await;
    assert!(text_of(&events).contains("Secrets"), "{events:?}");
    let Event::Decision(decision) = &events[0] else {
        panic!("{events:?}")
    };
    assert!(!decision.reason.contains("unavailable"), "{decision:?}");
    assert_eq!(*world.searches.borrow(), 4);
}

#[rstest]
#[case(Code::InvalidArgument, "invalid_request")]
#[case(Code::Unauthenticated, "rag_server_unavailable")]
#[case(Code::PermissionDenied, "rag_server_unavailable")]
#[case(Code::Internal, "rag_server_unavailable")]
#[case(Code::ResourceExhausted, "rag_server_unavailable")]
#[case(Code::DeadlineExceeded, "rag_server_unavailable")]
#[tokio::test]
async fn what_another_search_mends_not_is_not_made_again(
    #[case] fault: Code,
    #[case] expected: &str,
) {
    let world = world(&[fault; 2]);
    let stage = stage(world.clone()).await;
    let events = stage.ask(request("lotoai", vec![user(QUESTION)])).await;
    assert_eq!(code_of_end(&events), expected);
    assert_eq!(*world.searches.borrow(), 1);
}

#[tokio::test]
async fn a_decision_that_needs_no_passages_waits_for_none() {
    let world = world(&[Code::Unavailable; 2]);
    let stage = stage(world.clone()).await;
    let events = stage
        .ask(request("lotoai", vec![user("@assistant hello")]))
        .await;
    assert_eq!(text_of(&events), "Hello.");
    assert_eq!(*world.searches.borrow(), 1);
}

#[tokio::test]
async fn the_probe_asks_once() {
    let world = world(&[Code::Unavailable; 2]);
    let stage = stage(world.clone()).await;
    let events = stage
        .ask(request("probe", vec![user("Does it work?")]))
        .await;
    assert_eq!(code_of_end(&events), "probe_failed");
    assert_eq!(*world.searches.borrow(), 1);
}

#[tokio::test]
async fn a_caller_who_leaves_ends_it() {
    let world = world(&[Code::Unavailable; 100]);
    let stage = stage(world.clone()).await;
    let begun = Instant::now();
    let asked = Request::new(request("lotoai", vec![user(QUESTION)]));
    let answer = stage.service.answer(asked).await.unwrap();
    let mut searches = world.searches.subscribe();
    let again = timeout(LIMIT, searches.wait_for(|count| *count > 1)).await;
    assert!(again.is_ok(), "it is not made again");
    drop(answer);
    // The end is stored when the work is over.
    let ended = async {
        while stage.stored().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let ended = timeout(LIMIT, ended).await;
    assert!(ended.is_ok(), "it goes on: {}", *world.searches.borrow());
    assert_eq!(stage.stored(), ["finish cancelled  []"]);
    assert!(begun.elapsed() < QUARTER, "{:?}", begun.elapsed());
}

/// A client of which only the patience is used.
fn nowhere() -> Rag {
    let url = "http://127.0.0.1:9".parse().unwrap();
    let token = SecretString::from("t".repeat(32));
    Rag::new(lotoai_kit::upstream::grpc_channel(&url, &token, &TlsArgs::default()).unwrap())
}

fn away() -> Missed {
    Missed::of(&Status::unavailable("away"))
}

#[tokio::test(start_paused = true)]
async fn patience_has_an_end_and_is_not_had_again_at_once() {
    let (rag, count) = (nowhere(), Cell::new(0));
    let search = async || {
        count.set(count.get() + 1);
        rag.patiently(PATIENCE, || std::future::ready(Err::<(), _>(away())))
            .await
    };
    let begun = tokio::time::Instant::now();
    search().await.unwrap_err();
    let waited = begun.elapsed();
    assert!(waited <= PATIENCE, "{waited:?}");
    assert!(waited > PATIENCE / 2, "{waited:?}");
    search().await.unwrap_err();
    assert_eq!(begun.elapsed(), waited, "nobody waits where it was in vain");
    tokio::time::advance(Duration::from_secs(11)).await;
    let begun = tokio::time::Instant::now();
    search().await.unwrap_err();
    assert!(begun.elapsed() > PATIENCE / 2, "later somebody does");
    assert_eq!(count.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_search_that_gives_something_ends_the_giving_up() {
    let rag = nowhere();
    let away = || std::future::ready(Err::<(), _>(away()));
    rag.patiently(PATIENCE, away).await.unwrap_err();
    let there = || std::future::ready(Ok::<_, Missed>(()));
    rag.patiently(PATIENCE, there).await.unwrap();
    let begun = tokio::time::Instant::now();
    rag.patiently(PATIENCE, away).await.unwrap_err();
    assert!(begun.elapsed() > PATIENCE / 2);
}

#[test]
fn what_broke_off_here_may_be_made_again_and_an_answer_may_not() {
    let broken = Status::from_error(Box::new(std::io::Error::other("reset")));
    assert_eq!(broken.code(), Code::Unknown);
    assert!(Missed::of(&broken).passes());
    assert!(!Missed::of(&Status::unknown("an answer")).passes());
}
