//! How a person is asked, where that is found, and how long it is kept.

use super::*;
use crate::{store::approvals::State, tests::fakes::text_of};

#[tokio::test]
async fn the_decision_stands_before_the_question_and_the_run_ends_well() {
    let world = World::default();
    let meta = json!({APPROVAL: CONSENT_REQUIRED});
    world.tool.lock().unwrap().meta = meta.as_object().unwrap().clone();
    let stage = super::fakes::stage(world.clone()).await;
    let events = stage.ask(asking(QUESTION)).await;
    assert!(
        matches!(
            events.as_slice(),
            [
                Event::Decision(_),
                Event::Delta(_),
                Event::ApprovalRequest(_),
                Event::Finished(_)
            ]
        ),
        "{events:?}"
    );
    assert_eq!(
        stage.stored(),
        [
            "decide tool working_days",
            "ask working_days",
            "finish ok extractive [decide ask_consent]"
        ]
    );
    assert!(world.tool.lock().unwrap().calls.is_empty());
}

#[tokio::test]
async fn a_guarded_tool_is_not_called_but_asked_for() {
    let Some(scene) = Scene::new() else { return };
    let before = jiff::Timestamp::now().as_second();
    let events = scene.replica().await.ask(asking(QUESTION)).await;
    let said = text_of(&events);
    assert!(
        said.contains("`working_days`") && said.contains("start date: 2026-11-02"),
        "{said}"
    );
    assert_eq!(reason_of_end(&events), "approval_required");
    let asked = asked(&events);
    assert_eq!(asked.tool, "working_days");
    assert!(asked.description.starts_with("Counts how many"));
    assert_eq!(
        asked.arguments_json,
        r#"{"end_date":"2026-11-20","start_date":"2026-11-02"}"#
    );
    let lifetime = asked.expires_at - before;
    assert!((86_390..86_520).contains(&lifetime), "{lifetime}");
    assert!(scene.calls().is_empty());
    // The control: the same question calls the tool when it wants no consent.
    scene.declare(json!({DECLARATION: "d1"}));
    let again = AnswerRequest {
        run_id: OTHER.to_owned(),
        ..asking(QUESTION)
    };
    let events = scene.replica().await.ask(again).await;
    assert_eq!(reason_of_end(&events), "stop");
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn a_run_that_broke_off_while_it_asked_asks_once() {
    let Some(scene) = Scene::new() else { return };
    let first = scene.asked(QUESTION).await;
    // As if it had died before its end was stored.
    scene.execute("UPDATE runs SET ended_at = NULL").await;
    assert_eq!(scene.asked(QUESTION).await.id, first.id);
    scene.execute("UPDATE runs SET ended_at = NULL").await;
    let other = scene
        .asked(
            "How many working days are there between 2026-11-03 and 2026-11-20? Use working_days",
        )
        .await;
    assert_ne!(other.id, first.id, "nobody approves what they did not see");
    let replica = scene.replica().await;
    assert_eq!(states(&replica, "s").await, [ApprovalState::Pending]);
    let events = replica.decide(deny(&other.id)).await;
    assert_eq!(reason_of_end(&events), "stop");
    scene.execute("UPDATE runs SET ended_at = NULL").await;
    let events = replica.ask(asking(QUESTION)).await;
    assert_eq!(failed(&events).code, "duplicate_run");
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_by_state() {
    let Some(scene) = Scene::new() else { return };
    let replica = scene.replica().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let question = AnswerRequest {
            run_id: Uuid::new_v4().to_string(),
            ..asking(QUESTION)
        };
        let events = replica.ask(question).await;
        ids.insert(0, asked(&events).id.clone());
    }
    replica.decide(deny(&ids[1])).await;
    let page = async |state: ApprovalState, page_token: String| {
        let request = ListApprovalsRequest {
            caller: Some(caller("s")),
            state: state.into(),
            page_size: 2,
            page_token,
        };
        let listed = list(&replica, request).await;
        let requests = listed.approvals.into_iter().filter_map(|it| it.request);
        let ids: Vec<String> = requests.map(|it| it.id).collect();
        (ids, listed.next_page_token)
    };
    let (first, token) = page(ApprovalState::Unspecified, String::new()).await;
    assert_eq!(first, ids[..2]);
    let (rest, end) = page(ApprovalState::Unspecified, token).await;
    assert_eq!((rest.as_slice(), end.as_str()), (&ids[2..], ""));
    let (pending, _) = page(ApprovalState::Pending, String::new()).await;
    assert_eq!(pending, [ids[0].clone(), ids[2].clone()]);
    let (denied, _) = page(ApprovalState::Denied, String::new()).await;
    assert_eq!(denied, ids[1..2]);
    let request = ListApprovalsRequest {
        caller: Some(caller("s")),
        page_token: "x".to_owned(),
        ..ListApprovalsRequest::default()
    };
    let refused = replica.service.list_approvals(Request::new(request)).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn old_approvals_go_and_the_record_stays() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    scene.replica().await.decide(deny(&asked.id)).await;
    assert_eq!(scene.store().forget_approvals().await.unwrap(), 0);
    scene
        .execute("UPDATE approvals SET created_at = now() - interval '31 days'")
        .await;
    assert_eq!(scene.store().forget_approvals().await.unwrap(), 1);
    assert_eq!(scene.record().await.len(), 1);
    let gone = scene
        .store()
        .approvals("s", Some(State::Denied), None, 10)
        .await
        .unwrap();
    assert!(gone.is_empty());
}
