//! Who calls: only those with a token, and only for as long as they listen.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use lotoai_contracts::v1::{answer_event::Event, orchestrator_server::Orchestrator as _};
use tokio::sync::Notify;
use tokio_stream::StreamExt as _;
use tonic::Request;

use super::fakes::{World, request, role, stage, user};
use super::strangers;

/// What beginning may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);
/// Within which a call ends that nobody waits for.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test]
async fn strangers_are_refused_by_all_methods() {
    let stage = stage(World::default()).await;
    let routes = crate::routes(stage.service, &strangers::callers());
    strangers::are_refused_by_all_methods("Orchestrator", &routes).await;
}

#[tokio::test]
async fn the_call_of_a_role_ends_within_a_second_when_the_caller_goes_away() {
    let given_up = Arc::new(Notify::new());
    let stage = stage(World {
        roles: vec![role("writer", &["staff"], true)],
        endless: Some(Arc::clone(&given_up)),
        ..World::default()
    })
    .await;
    let asked = Request::new(request("writer", vec![user("Write on and on.")]));
    let mut answer = stage.service.answer(asked).await.unwrap().into_inner();
    let begins = async {
        loop {
            let event = answer.next().await.unwrap().unwrap().event.unwrap();
            assert!(!matches!(event, Event::Failed(_)), "{event:?}");
            if matches!(event, Event::Delta(_)) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, begins).await.unwrap();
    let is_over = given_up.notified().now_or_never().is_some();
    assert!(!is_over, "it goes on while somebody listens");
    drop(answer);
    let ends = tokio::time::timeout(SOON, given_up.notified()).await;
    ends.expect("the role is not asked on and on");
}
