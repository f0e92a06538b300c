//! What is held of one person, given and deleted, on a real PostgreSQL.

use lotoai_contracts::v1::{
    ErasePersonRequest, ErasePersonResponse, ExportPersonRequest, RecordKind,
    orchestrator_server::Orchestrator as _,
};
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::PgPool;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use super::fakes::{Stage, World, stage_on};
use super::postgres::{self, tables_with};
use crate::{
    domain::{
        approval::{Asked, choose},
        language::Language,
    },
    store::{Decided, Outcome, Run, Step, Store, approvals::Ruling},
};

/// A subject that is part of nothing else.
const LEAVER: &str = "leaver-c02b";
const STAYER: &str = "stayer-6f9d";
const EVERYWHERE: [&str; 3] = ["approval_decisions", "approvals", "runs"];

fn run(subject: &str) -> Run {
    Run {
        id: Uuid::new_v4(),
        conversation: "c1".to_owned(),
        subject: subject.to_owned(),
        model: "lotoai".to_owned(),
    }
}

/// Stores the beginning of a run and its end, with one step.
async fn answered(store: &Store, run: &Run) {
    let decided = Decided {
        route: "tool",
        target: "pay".to_owned(),
        reason: "The question names the tool.".to_owned(),
        confidence: 1.0,
    };
    store.decide(run, &decided).await.unwrap();
    let step = Step {
        kind: "call_tool",
        target: "pay".to_owned(),
        outcome: "ok".to_owned(),
        duration_ms: 1,
    };
    let outcome = Outcome {
        outcome: "ok".to_owned(),
        ..Outcome::default()
    };
    store.finish(run, &outcome, &[step]).await.unwrap();
}

/// What a person leaves: a call that they approved with other arguments, one that still waits, and the
/// runs that asked for both and that went on.
async fn live(store: &Store, subject: &str) {
    let mut waiting = Vec::new();
    for amount in [1, 2] {
        let asking = run(subject);
        answered(store, &asking).await;
        let asked = Asked {
            tool: "pay".to_owned(),
            description: "Pays".to_owned(),
            arguments_json: json!({"to": format!("{subject}'s landlord"), "amount": amount})
                .to_string(),
            digest: format!("digest of {amount}"),
            declaration: "d1".to_owned(),
        };
        let (id, _) = store.ask(&asking, Language::English, &asked).await.unwrap();
        waiting.push((id, asked));
    }
    let (id, asked) = &waiting[0];
    let next = run(subject);
    let edited = json!({"to": format!("{subject}'s bank"), "amount": 3}).to_string();
    let chosen = choose(asked, &edited).unwrap();
    let (name, reason) = (format!("{subject} by name"), format!("{subject} is late"));
    let ruling = Ruling {
        approval: *id,
        run: &next,
        name: &name,
        chosen: Some(&chosen),
        reason: &reason,
    };
    assert!(store.rule(&ruling).await.unwrap());
    answered(store, &next).await;
}

/// A database, and the service on it. `None` when there is no PostgreSQL here.
async fn scene() -> Option<(postgres::Database, PgPool, Stage)> {
    let database = postgres::start()?;
    let pool = database.pool();
    let stage = stage_on(World::default(), Store::Postgres(pool.clone())).await;
    Some((database, pool, stage))
}

async fn erase(stage: &Stage, subject: &str) -> Result<ErasePersonResponse, Status> {
    let request = ErasePersonRequest {
        subject: subject.to_owned(),
    };
    let erased = stage.service.erase_person(Request::new(request)).await;
    Ok(erased?.into_inner())
}

/// All records of a kind, and the sizes of the pages that they came in.
async fn export(stage: &Stage, subject: &str, kind: RecordKind) -> (Vec<Value>, Vec<usize>) {
    let (mut all, mut sizes, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request = ExportPersonRequest {
            subject: subject.to_owned(),
            kind: kind.into(),
            page_token,
        };
        let page = stage.service.export_person(Request::new(request)).await;
        let page = page.unwrap().into_inner();
        sizes.push(page.records_json.len());
        let records = page.records_json.iter();
        all.extend(records.map(|it| serde_json::from_str::<Value>(it).unwrap()));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return (all, sizes);
        }
    }
}

async fn steps(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM steps")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// So many runs of somebody, all of the same time.
async fn many_runs(pool: &PgPool, subject: &str, count: i32) {
    sqlx::query(
        "INSERT INTO runs (run_id, conversation_id, subject, requested_model) \
         SELECT gen_random_uuid(), '', $1, 'lotoai' FROM generate_series(1, $2)",
    )
    .bind(subject)
    .bind(count)
    .execute(pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn an_erased_person_is_nowhere_and_everybody_else_is() {
    let Some((_database, pool, stage)) = scene().await else {
        return;
    };
    let store = Store::Postgres(pool.clone());
    live(&store, LEAVER).await;
    live(&store, STAYER).await;
    assert_eq!(tables_with(&pool, LEAVER).await, EVERYWHERE);
    assert_eq!(steps(&pool).await, 6);
    let gone = erase(&stage, LEAVER).await.unwrap();
    let counts = (gone.approvals, gone.decisions, gone.runs, gone.more);
    assert_eq!(counts, (2, 1, 3, false));
    assert_eq!(tables_with(&pool, LEAVER).await, Vec::<String>::new());
    assert_eq!(tables_with(&pool, STAYER).await, EVERYWHERE, "the control");
    assert_eq!(steps(&pool).await, 3);
    // Again, and for somebody who never was.
    for subject in [LEAVER, "nobody"] {
        let gone = erase(&stage, subject).await.unwrap();
        assert_eq!(gone, ErasePersonResponse::default(), "{subject}");
    }
    assert_eq!(tables_with(&pool, STAYER).await, EVERYWHERE);
}

#[tokio::test]
async fn much_is_erased_part_by_part_and_by_two_at_once() {
    let Some((_database, pool, stage)) = scene().await else {
        return;
    };
    many_runs(&pool, LEAVER, 2_500).await;
    let gone = erase(&stage, LEAVER).await.unwrap();
    assert_eq!((gone.runs, gone.more), (1_000, true));
    let all = async || {
        let mut all = 0;
        loop {
            let gone = erase(&stage, LEAVER).await.unwrap();
            all += gone.runs;
            if !gone.more {
                return all;
            }
        }
    };
    let (one, other) = tokio::join!(all(), all());
    assert_eq!(one + other, 1_500);
    assert_eq!(tables_with(&pool, LEAVER).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_export_is_everything_of_one_person_and_of_nobody_else() {
    let Some((_database, pool, stage)) = scene().await else {
        return;
    };
    let store = Store::Postgres(pool.clone());
    live(&store, LEAVER).await;
    live(&store, STAYER).await;
    let (approvals, _) = export(&stage, LEAVER, RecordKind::Approval).await;
    let (decisions, _) = export(&stage, LEAVER, RecordKind::Decision).await;
    let (runs, _) = export(&stage, LEAVER, RecordKind::Run).await;
    assert_eq!((approvals.len(), decisions.len(), runs.len()), (2, 1, 3));
    // The newest first.
    assert_eq!(approvals[0]["state"], "pending");
    let approved = &approvals[1];
    let read =
        |field: &str| -> Value { serde_json::from_str(approved[field].as_str().unwrap()).unwrap() };
    assert_eq!(read("arguments")["to"], format!("{LEAVER}'s landlord"));
    assert_eq!(read("decided_arguments")["to"], format!("{LEAVER}'s bank"));
    assert_eq!(decisions[0]["approval_id"], approved["id"]);
    assert_eq!(decisions[0]["name"], format!("{LEAVER} by name"));
    assert_eq!(decisions[0]["reason"], format!("{LEAVER} is late"));
    assert_eq!(decisions[0]["changed"], json!(["amount", "to"]));
    assert_eq!(runs[0]["steps"][0]["kind"], "call_tool");
    for record in approvals.iter().chain(&decisions).chain(&runs) {
        assert!(!record.to_string().contains(STAYER), "{record}");
        // It is whoever asks for it.
        assert!(record.get("subject").is_none(), "{record}");
    }
    for kind in [RecordKind::Approval, RecordKind::Decision, RecordKind::Run] {
        let nobodys = export(&stage, "nobody", kind).await;
        assert_eq!(nobodys, (Vec::new(), vec![0]));
    }
}

#[tokio::test]
async fn a_long_export_comes_in_pages() {
    let Some((_database, pool, stage)) = scene().await else {
        return;
    };
    // Of the same time: what is between two pages is told apart by more than that.
    many_runs(&pool, LEAVER, 45).await;
    many_runs(&pool, STAYER, 3).await;
    let (runs, sizes) = export(&stage, LEAVER, RecordKind::Run).await;
    assert_eq!(sizes, [20, 20, 5]);
    let ids = runs.iter().map(|it| it["run_id"].as_str().unwrap());
    let ids: std::collections::BTreeSet<&str> = ids.collect();
    assert_eq!(ids.len(), 45);
    many_runs(&pool, "twenty", 20).await;
    let (_, sizes) = export(&stage, "twenty", RecordKind::Run).await;
    assert_eq!(sizes, [20], "a whole page is no half one");
}

#[rstest]
#[case("")]
#[case("a\0b")]
#[tokio::test]
async fn nobody_is_no_person(#[case] subject: &str) {
    let Some((_database, pool, stage)) = scene().await else {
        return;
    };
    live(&Store::Postgres(pool.clone()), LEAVER).await;
    let refused = erase(&stage, subject).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let request = ExportPersonRequest {
        subject: subject.to_owned(),
        kind: RecordKind::Run.into(),
        ..ExportPersonRequest::default()
    };
    let refused = stage.service.export_person(Request::new(request)).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(tables_with(&pool, LEAVER).await, EVERYWHERE);
}

#[tokio::test]
async fn a_database_that_is_away_is_told() {
    let Some((database, _pool, stage)) = scene().await else {
        return;
    };
    // The control.
    assert!(erase(&stage, LEAVER).await.is_ok());
    database.lose();
    let refused = erase(&stage, LEAVER).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let request = ExportPersonRequest {
        subject: LEAVER.to_owned(),
        kind: RecordKind::Approval.into(),
        ..ExportPersonRequest::default()
    };
    let refused = stage.service.export_person(Request::new(request)).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
}
