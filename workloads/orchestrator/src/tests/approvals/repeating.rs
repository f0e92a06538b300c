//! Decisions that come twice, and calls that may have been made: at most one call.

use super::*;
use crate::tests::fakes::text_of;

#[tokio::test]
async fn of_two_decisions_at_once_one_counts() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    let (one, other) = (scene.replica().await, scene.replica().await);
    let second = DecideApprovalRequest {
        run_id: OTHER.to_owned(),
        ..approve(&asked.id)
    };
    let (first, second) = tokio::join!(one.decide(approve(&asked.id)), other.decide(second));
    let ends = [&first, &second].map(|events| events.last().unwrap());
    let good = ends.iter().filter(|end| matches!(end, Event::Finished(_)));
    assert_eq!(good.count(), 1, "{ends:?}");
    let refused = ends
        .iter()
        .filter(|end| matches!(end, Event::Failed(it) if it.code == "approval_decided"));
    assert_eq!(refused.count(), 1, "{ends:?}");
    assert_eq!(scene.calls().len(), 1);
    assert_eq!(scene.record().await.len(), 1);
}

#[tokio::test]
async fn after_a_crash_between_decision_and_call_the_same_run_goes_on_once() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    scene.approved_only(&asked.id).await;
    let replica = scene.replica().await;
    let stranger = DecideApprovalRequest {
        run_id: OTHER.to_owned(),
        ..approve(&asked.id)
    };
    let events = replica.decide(stranger).await;
    assert_eq!(failed(&events).code, "approval_decided");
    // A replica that cannot reach the tool server leaves the run as it was.
    let cut_off = World {
        mcp_down: true,
        ..scene.world.clone()
    };
    let cut_off = stage_on(cut_off, scene.store()).await;
    let events = cut_off.decide(approve(&asked.id)).await;
    let failure = failed(&events);
    assert_eq!(
        (failure.code.as_str(), failure.retryable),
        ("mcp_server_unavailable", true)
    );
    assert!(scene.calls().is_empty());
    let events = replica.decide(approve(&asked.id)).await;
    assert_eq!(text_of(&events), "The tool `working_days` answers: 15");
    let events = replica.decide(approve(&asked.id)).await;
    assert!(
        text_of(&events).starts_with("It is not known"),
        "{events:?}"
    );
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn a_decision_that_is_ended_while_the_tool_works_ends_well() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    scene.tool(|tool| tool.hangs = true);
    let replica = scene.replica().await;
    let stopping = async {
        let mut news = scene.tool(|tool| tool.news.subscribe());
        news.wait_for(|news| *news == ["begun"]).await.unwrap();
        replica.stop.cancel();
    };
    let (events, ()) = tokio::join!(replica.decide(approve(&asked.id)), stopping);
    assert!(
        text_of(&events).starts_with("It is not known"),
        "{events:?}"
    );
    assert_eq!(reason_of_end(&events), "stop");
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn the_same_run_with_other_arguments_is_another_decision() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    scene.approved_only(&asked.id).await;
    let replica = scene.replica().await;
    for other in [
        DecideApprovalRequest {
            arguments_json: r#"{"start_date":"2026-01-01","end_date":"2026-11-20"}"#.to_owned(),
            ..approve(&asked.id)
        },
        deny(&asked.id),
    ] {
        let events = replica.decide(other).await;
        assert_eq!(failed(&events).code, "approval_decided");
    }
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn a_call_that_had_begun_is_never_made_again() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    let (id, run) = scene.approved_only(&asked.id).await;
    assert!(scene.store().begin_call(id, run.id).await.unwrap());
    assert!(!scene.store().begin_call(id, run.id).await.unwrap());
    let replica = scene.replica().await;
    let events = replica.decide(approve(&asked.id)).await;
    let said = text_of(&events);
    assert!(
        said.starts_with("It is not known whether the tool `working_days`"),
        "{said}"
    );
    assert_eq!(reason_of_end(&events), "stop");
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_not_made_again() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    scene.tool(|tool| tool.breaks = true);
    let replica = scene.replica().await;
    let events = replica.decide(approve(&asked.id)).await;
    let said = text_of(&events);
    assert!(said.starts_with("It is not known"), "{events:?}");
    scene.tool(|tool| tool.breaks = false);
    let events = replica.decide(approve(&asked.id)).await;
    assert_eq!(text_of(&events), said);
    assert_eq!(scene.calls().len(), 1);
}

#[rstest::rstest]
#[case::english(QUESTION, "The tool `working_days` was not called")]
#[case::spanish(
    "¿Cuántos días laborables hay entre 2026-11-02 y 2026-11-20? Usa working_days",
    "La herramienta `working_days` no se ha ejecutado"
)]
#[tokio::test]
async fn a_call_that_surely_did_not_come_to_the_tool_is_called_that(
    #[case] question: &str,
    #[case] expected: &str,
) {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(question).await;
    scene.tool(|tool| tool.forgets = true);
    let replica = scene.replica().await;
    let events = replica.decide(approve(&asked.id)).await;
    let said = text_of(&events);
    assert!(said.starts_with(expected), "{events:?}");
    assert_eq!(reason_of_end(&events), "stop");
    // That was the end of it: the same decision makes no call later.
    scene.tool(|tool| tool.forgets = false);
    let replica = scene.replica().await;
    replica.decide(approve(&asked.id)).await;
    assert!(scene.calls().is_empty());
}
