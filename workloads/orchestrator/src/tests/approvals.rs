//! Calls that wait for a person, on a real PostgreSQL. A replica is a whole service of its own on
//! the same database, with the same tool server.

mod asking;
mod deciding;
mod repeating;

use lotoai_contracts::tools::{APPROVAL, CONSENT_REQUIRED, DECLARATION};
use lotoai_contracts::v1::{
    AnswerRequest, ApprovalDecision, ApprovalRequest, ApprovalState, Caller, DecideApprovalRequest,
    Failed, ListApprovalsRequest, ListApprovalsResponse, answer_event::Event,
    orchestrator_server::Orchestrator as _,
};
use serde_json::{Value, json};
use sqlx::PgPool;
use tonic::Request;
use uuid::Uuid;

use super::fake_tools::FakeTool;
use super::fakes::{self, Stage, World, request, role, stage_on, user};
use super::postgres::{self, Database};
use crate::{
    domain::approval::{self, Chosen},
    store::{Decided, Run, Store, approvals::Ruling},
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
