//! Calls that wait for a person, on a real PostgreSQL. A replica is a whole service of its own on
//! the same database, with the same tool server.

use lotoai_contracts::tools::{APPROVAL, CONSENT_REQUIRED, DECLARATION};
use lotoai_contracts::v1::{
    AnswerRequest, ApprovalDecision, ApprovalRequest, ApprovalState, Caller, DecideApprovalRequest,
    Failed, ListApprovalsRequest, ListApprovalsResponse, answer_event::Event,
    orchestrator_server::Orchestrator as _,
};
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::PgPool;
use tonic::Request;
use uuid::Uuid;

use super::fake_tools::FakeTool;
use super::fakes::{Stage, World, request, role, stage_on, text_of, user};
use super::postgres::{self, Database};
use crate::{
    domain::approval::{self, Chosen},
    store::{
        Decided, Run, Store,
        approvals::{Ruling, State},
    },
};

const QUESTION: &str =
    "How many working days are there between 2026-11-02 and 2026-11-20? Use working_days";
/// The run that goes on, as the gateway would name it.
const NEXT: &str = "0191f0c4-0000-7000-8000-000000000002";
const OTHER: &str = "0191f0c4-0000-7000-8000-000000000003";

/// A platform with a tool that wants consent.
struct Scene {
    pool: PgPool,
    world: World,
    _database: Database,
}

/// A decision as it is on record.
#[derive(sqlx::FromRow)]
struct Record {
    subject: String,
    name: String,
    decision: String,
    /// Is it what was asked? Nothing when it was denied.
    as_asked: Option<bool>,
    changed: Vec<String>,
    reason: String,
}

impl Scene {
    /// `None` when there is no PostgreSQL here.
    fn new() -> Option<Self> {
        let database = postgres::start()?;
        let world = World {
            roles: vec![role("assistant", &[], false)],
            ..World::default()
        };
        let scene = Self {
            pool: database.pool(),
            world,
            _database: database,
        };
        scene.declare(json!({APPROVAL: CONSENT_REQUIRED, DECLARATION: "d1"}));
        Some(scene)
    }

    fn declare(&self, meta: Value) {
        self.tool(|tool| tool.meta = meta.as_object().unwrap().clone());
    }

    fn tool<T>(&self, look: impl FnOnce(&mut FakeTool) -> T) -> T {
        look(&mut self.world.tool.lock().unwrap())
    }

    /// `_meta` and arguments of every call.
    fn calls(&self) -> Vec<(Value, Value)> {
        self.tool(|tool| tool.calls.clone())
    }

    fn store(&self) -> Store {
        Store::Postgres(self.pool.clone())
    }

    async fn replica(&self) -> Stage {
        stage_on(self.world.clone(), self.store()).await
    }

    async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.pool).await.unwrap();
    }

    /// Asks on a replica of its own, and gives what the person is asked.
    async fn asked(&self, question: &str) -> ApprovalRequest {
        let events = self.replica().await.ask(asking(question)).await;
        asked(&events).clone()
    }

    /// The decision of the person as it stands in the store when a replica dies right after it.
    async fn approved_only(&self, id: &str) -> (Uuid, Run) {
        let store = self.store();
        let run = Run {
            id: Uuid::parse_str(NEXT).unwrap(),
            conversation: String::new(),
            subject: "s".to_owned(),
            model: "lotoai".to_owned(),
        };
        let decided = Decided {
            route: "tool",
            target: "working_days".to_owned(),
            reason: String::new(),
            confidence: 1.0,
        };
        store.decide(&run, &decided).await.unwrap();
        let id = Uuid::parse_str(id).unwrap();
        let found = store.approval("s", id).await.unwrap().unwrap();
        let chosen: Chosen = approval::choose(&found.asked, "").unwrap();
        let ruling = Ruling {
            approval: id,
            run: &run,
            name: "ana",
            chosen: Some(&chosen),
            reason: "",
        };
        assert!(store.rule(&ruling).await.unwrap());
        (id, run)
    }

    async fn record(&self) -> Vec<Record> {
        sqlx::query_as(
            "SELECT subject, name, decision, decided_digest = asked_digest AS as_asked, changed, \
             reason FROM approval_decisions",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }
}

fn asking(question: &str) -> AnswerRequest {
    AnswerRequest {
        conversation_id: "c1".to_owned(),
        ..request("lotoai", vec![user(question)])
    }
}

fn caller(subject: &str) -> Caller {
    Caller {
        subject: subject.to_owned(),
        name: "ana".to_owned(),
        groups: vec!["staff".to_owned()],
    }
}

fn approve(id: &str) -> DecideApprovalRequest {
    DecideApprovalRequest {
        caller: Some(caller("s")),
        approval_id: id.to_owned(),
        decision: ApprovalDecision::Approve.into(),
        run_id: NEXT.to_owned(),
        ..DecideApprovalRequest::default()
    }
}

fn deny(id: &str) -> DecideApprovalRequest {
    DecideApprovalRequest {
        decision: ApprovalDecision::Deny.into(),
        ..approve(id)
    }
}

fn asked(events: &[Event]) -> &ApprovalRequest {
    let found = events.iter().find_map(|event| match event {
        Event::ApprovalRequest(request) => Some(request),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nobody is asked in {events:?}"))
}

fn failed(events: &[Event]) -> &Failed {
    match events.last() {
        Some(Event::Failed(failed)) => failed,
        _ => panic!("no failure at the end of {events:?}"),
    }
}

fn reason_of_end(events: &[Event]) -> &str {
    match events.last() {
        Some(Event::Finished(finished)) => &finished.finish_reason,
        _ => panic!("no good end of {events:?}"),
    }
}

async fn list(stage: &Stage, request: ListApprovalsRequest) -> ListApprovalsResponse {
    let listed = stage.service.list_approvals(Request::new(request)).await;
    listed.unwrap().into_inner()
}

/// The states of a person's approvals, newest first.
async fn states(stage: &Stage, subject: &str) -> Vec<ApprovalState> {
    let request = ListApprovalsRequest {
        caller: Some(caller(subject)),
        ..ListApprovalsRequest::default()
    };
    let listed = list(stage, request).await;
    listed.approvals.iter().map(|it| it.state()).collect()
}

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
    for wrong in [r#"{"end_date":"2026-11-20"}"#, r#"{"end_date":7}"#, "[]"] {
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
