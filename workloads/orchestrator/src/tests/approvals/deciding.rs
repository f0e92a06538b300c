//! Decisions: by the person who asked, in time, and on what is still as they were asked.

use rstest::rstest;

use super::*;
use crate::tests::fakes::text_of;

#[tokio::test]
async fn another_replica_calls_what_was_approved_and_the_decision_is_on_record() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    let decision = DecideApprovalRequest {
        reason: "  month end\n".to_owned(),
        ..approve(&asked.id)
    };
    let replica = scene.replica().await;
    let events = replica.decide(decision).await;
    assert_eq!(text_of(&events), "The tool `working_days` answers: 15");
    assert_eq!(reason_of_end(&events), "stop");
    assert!(
        matches!(&events[0], Event::Decision(it) if it.target == "working_days"),
        "{events:?}"
    );
    let meta = json!({APPROVAL: asked.id, DECLARATION: "d1"});
    let arguments: Value = serde_json::from_str(&asked.arguments_json).unwrap();
    assert_eq!(scene.calls(), [(meta, arguments)]);
    let listed = list(
        &replica,
        ListApprovalsRequest {
            caller: Some(caller("s")),
            ..ListApprovalsRequest::default()
        },
    )
    .await;
    let approval = &listed.approvals[0];
    assert_eq!(approval.state(), ApprovalState::Approved);
    assert_eq!(approval.request.as_ref(), Some(&asked));
    assert_eq!(
        (approval.conversation_id.as_str(), approval.reason.as_str()),
        ("c1", "month end")
    );
    assert!(approval.decided_at >= approval.created_at);
    let record = scene.record().await;
    let [record] = record.as_slice() else {
        panic!("{} records", record.len())
    };
    assert_eq!(
        (record.subject.as_str(), record.name.as_str()),
        ("s", "ana")
    );
    assert_eq!(
        (
            record.decision.as_str(),
            record.as_asked,
            record.changed.len()
        ),
        ("approved", Some(true), 0)
    );
    assert_eq!(record.reason, "month end");
}

#[tokio::test]
async fn what_is_denied_is_not_called_and_the_language_is_kept() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene
        .asked("¿Cuántos días laborables hay entre 2026-11-02 y 2026-11-20? Usa working_days")
        .await;
    let replica = scene.replica().await;
    for _ in ["at first", "sent again"] {
        let events = replica.decide(deny(&asked.id)).await;
        assert_eq!(
            text_of(&events),
            "Lo has rechazado: la herramienta `working_days` no se ha ejecutado."
        );
    }
    let changed_mind = DecideApprovalRequest {
        run_id: OTHER.to_owned(),
        ..approve(&asked.id)
    };
    let events = replica.decide(changed_mind).await;
    assert_eq!(failed(&events).code, "approval_decided");
    assert!(scene.calls().is_empty());
    assert_eq!(states(&replica, "s").await, [ApprovalState::Denied]);
    let record = scene.record().await;
    assert_eq!(record.len(), 1);
    assert_eq!(
        (record[0].decision.as_str(), record[0].as_asked),
        ("denied", None)
    );
}

#[tokio::test]
async fn somebody_elses_approval_looks_like_none() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    let replica = scene.replica().await;
    let foreign = DecideApprovalRequest {
        caller: Some(caller("mallory")),
        ..approve(&asked.id)
    };
    let foreign = replica.decide(foreign).await;
    assert_eq!(failed(&foreign).code, "unknown_approval");
    for nothing in [NEXT, "no-uuid", ""] {
        let unknown = DecideApprovalRequest {
            run_id: OTHER.to_owned(),
            ..approve(nothing)
        };
        assert_eq!(replica.decide(unknown).await, foreign);
    }
    assert!(states(&replica, "mallory").await.is_empty());
    // The control: whose it is sees it and may decide it.
    assert_eq!(states(&replica, "s").await, [ApprovalState::Pending]);
    let own = DecideApprovalRequest {
        run_id: Uuid::new_v4().to_string(),
        ..approve(&asked.id)
    };
    assert_eq!(reason_of_end(&replica.decide(own).await), "stop");
}

#[rstest]
#[case::approve(approve)]
#[case::deny(deny)]
#[tokio::test]
async fn what_nobody_decided_in_time_is_not_decided(
    #[case] decide: fn(&str) -> DecideApprovalRequest,
) {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    scene
        .execute("UPDATE approvals SET expires_at = now()")
        .await;
    let replica = scene.replica().await;
    let events = replica.decide(decide(&asked.id)).await;
    assert_eq!(failed(&events).code, "approval_expired");
    assert_eq!(states(&replica, "s").await, [ApprovalState::Expired]);
    assert!(scene.calls().is_empty());
    assert!(scene.record().await.is_empty());
}

#[tokio::test]
async fn edited_arguments_are_checked_called_and_named_in_the_record() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    let replica = scene.replica().await;
    for wrong in [
        r#"{"end_date":"2026-11-20"}"#,
        r#"{"end_date":7}"#,
        r#"{"start_date":"2026-11-03","end_date":"2026-11-20","start~date":"x"}"#,
        "[]",
    ] {
        let wrong = DecideApprovalRequest {
            arguments_json: wrong.to_owned(),
            run_id: Uuid::new_v4().to_string(),
            ..approve(&asked.id)
        };
        let events = replica.decide(wrong).await;
        let failed = failed(&events);
        assert_eq!(
            (failed.code.as_str(), failed.param.as_str()),
            ("invalid_request", "arguments"),
            "{failed:?}"
        );
    }
    assert_eq!(states(&replica, "s").await, [ApprovalState::Pending]);
    let edited = json!({"start_date": "2026-11-03", "end_date": "2026-11-20"});
    let right = DecideApprovalRequest {
        arguments_json: edited.to_string(),
        ..approve(&asked.id)
    };
    assert_eq!(reason_of_end(&replica.decide(right).await), "stop");
    let calls = scene.calls();
    assert_eq!((calls.len(), &calls[0].1), (1, &edited));
    let record = scene.record().await;
    assert_eq!(record[0].as_asked, Some(false));
    assert_eq!(record[0].changed, ["start_date"]);
}

#[tokio::test]
async fn a_tool_that_changed_or_is_gone_is_not_called_and_nothing_is_decided() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    let replica = scene.replica().await;
    // The gateway knows one decision by one run, however often it is tried.
    let again = || approve(&asked.id);
    scene.declare(json!({APPROVAL: CONSENT_REQUIRED, DECLARATION: "d2"}));
    let events = replica.decide(again()).await;
    assert_eq!(failed(&events).code, "approval_outdated");
    scene.declare(json!({APPROVAL: CONSENT_REQUIRED, DECLARATION: "d1"}));
    scene.tool(|tool| tool.group = Some("finance"));
    let events = replica.decide(again()).await;
    assert_eq!(failed(&events).code, "approval_outdated");
    assert!(scene.calls().is_empty());
    assert_eq!(states(&replica, "s").await, [ApprovalState::Pending]);
    // The control: as it was, and for the person again, it is called.
    scene.tool(|tool| tool.group = Some("staff"));
    assert_eq!(reason_of_end(&replica.decide(again()).await), "stop");
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn a_call_that_is_not_the_one_in_the_record_is_not_made() {
    let Some(scene) = Scene::new() else { return };
    let asked = scene.asked(QUESTION).await;
    scene
        .execute("UPDATE approvals SET arguments = '{\"start_date\":\"1\",\"end_date\":\"2\"}'")
        .await;
    let events = scene.replica().await.decide(approve(&asked.id)).await;
    assert_eq!(failed(&events).code, "approval_outdated");
    assert!(scene.calls().is_empty());
}

#[rstest]
#[case::decision(DecideApprovalRequest { decision: 0, ..approve(OTHER) }, "decision")]
#[case::arguments(DecideApprovalRequest { arguments_json: "{}".into(), ..deny(OTHER) }, "arguments")]
#[case::long(DecideApprovalRequest { reason: "x".repeat(501), ..approve(OTHER) }, "reason")]
#[case::control(DecideApprovalRequest { reason: "\u{0}".into(), ..approve(OTHER) }, "reason")]
#[case::run(DecideApprovalRequest { run_id: "x".into(), ..approve(OTHER) }, "run_id")]
#[case::caller(DecideApprovalRequest { caller: None, ..approve(OTHER) }, "caller")]
#[tokio::test]
async fn a_bad_decision_is_refused_by_field(
    #[case] request: DecideApprovalRequest,
    #[case] field: &str,
) {
    let stage = super::fakes::stage(World::default()).await;
    let events = stage.decide(request).await;
    let failed = failed(&events);
    assert_eq!((failed.code.as_str(), events.len()), ("invalid_request", 1));
    assert!(failed.message.contains(field), "{failed:?}");
}
