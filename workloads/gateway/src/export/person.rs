//! Everything that the gateway and the orchestrator hold of a person, as one JSON object.

use std::sync::Arc;

use futures::TryFutureExt as _;
use jiff::Timestamp;
use lotoai_contracts::v1::RecordKind;
use lotoai_policy::documents::uploaded_by;
use serde::Serialize;
use serde_json::json;

use super::{Pipe, Stop, conversation};
use crate::erasure::shared_budgets;
use crate::identity::Identity;
use crate::state::AppState;
use crate::store::{Document, KeyOwner, StoreError, UsageCursor, UsageQuery};

/// What the form of an export is called; another form has another number.
const VERSION: u32 = 1;
/// Rows of one part.
const PART: i64 = 200;
/// The same of responses, which may repeat long instructions and tools.
const RESPONSES: i64 = 10;
/// The same of streams, which may hold the text of an answer.
const STREAMS: i64 = 10;

/// What the orchestrator holds, and what it is called here.
const ELSEWHERE: [(&str, RecordKind); 3] = [
    ("approval_requests", RecordKind::Approval),
    ("approval_decisions", RecordKind::Decision),
    ("runs", RecordKind::Run),
];

/// A document, and where its file is had.
#[derive(Serialize)]
struct ExportedDocument {
    #[serde(flatten)]
    document: Document,
    /// Path, at the address of the platform.
    content: String,
}

impl ExportedDocument {
    fn of(document: Document) -> Self {
        Self {
            content: format!("/api/documents/{}/content", document.id),
            document,
        }
    }
}

/// Writes everything that is held of the caller. `key_owner` was read before, so that an answer
/// begins only when the database is there.
///
/// # Errors
/// When the rest cannot be read, or nobody reads it.
pub async fn write(
    mut pipe: Pipe,
    state: Arc<AppState>,
    identity: Arc<Identity>,
    key_owner: Option<KeyOwner>,
) -> Result<(), Stop> {
    let subject = identity.subject.as_str();
    pipe.open_object(&json!({
        "version": VERSION,
        "exported_at": Timestamp::now().to_string(),
        "profile": {
            "subject": subject,
            "name": identity.name,
            "groups": identity.groups,
            "admin": identity.who().is_admin(),
        },
        "api_key_owner": key_owner,
    }))
    .await?;
    conversations(&mut pipe, &state, subject).await?;
    things(&mut pipe, &state, &identity).await?;
    spent(&mut pipe, &state, subject).await?;
    elsewhere(&mut pipe, &state, subject).await?;
    pipe.text("}").await?;
    pipe.end().await
}

async fn conversations(pipe: &mut Pipe, state: &AppState, subject: &str) -> Result<(), Stop> {
    pipe.text(",\"conversations\":[").await?;
    let (mut after, mut is_first) = (None, true);
    loop {
        let part = state.store.every_conversation(subject, after, PART).await?;
        let Some(last) = part.last() else { break };
        after = Some(last.summary.id);
        for exported in &part {
            if !std::mem::take(&mut is_first) {
                pipe.text(",").await?;
            }
            conversation::json(pipe, &state.store, exported.summary.id, exported).await?;
        }
    }
    pipe.text("]").await
}

/// Responses, streams, approvals, documents, uploads, API keys, sessions and `Idempotency-Key`s.
async fn things(pipe: &mut Pipe, state: &AppState, identity: &Identity) -> Result<(), Stop> {
    let (store, subject) = (&state.store, identity.subject.as_str());
    let own = uploaded_by(subject);
    list(
        pipe,
        "responses",
        |after| store.every_response(subject, after, RESPONSES),
        |response| response.run_id,
    )
    .await?;
    list(
        pipe,
        "streams",
        |after| store.every_stream(subject, after, STREAMS),
        |stream| stream.run_id,
    )
    .await?;
    list(
        pipe,
        "approvals",
        |after| store.every_approval(subject, after, PART),
        |approval| approval.id,
    )
    .await?;
    list(
        pipe,
        "documents",
        |after| {
            let part = store.documents(&own, None, after, PART);
            part.map_ok(|part| {
                let exported = part.into_iter().map(ExportedDocument::of);
                exported.collect::<Vec<_>>()
            })
        },
        |exported: &ExportedDocument| exported.document.id,
    )
    .await?;
    list(
        pipe,
        "uploads",
        |after| store.every_upload(subject, after, PART),
        |upload| upload.id,
    )
    .await?;
    list(
        pipe,
        "api_keys",
        |after| store.api_keys(Some(subject), after, PART),
        |key| (key.created_micros, key.id.clone()),
    )
    .await?;
    list(
        pipe,
        "sessions",
        |after| state.sessions.list(identity, Some(subject), after, PART),
        |session| session.id,
    )
    .await?;
    list(
        pipe,
        "idempotency_keys",
        |after| store.held_keys(subject, after, PART),
        |held| (held.owner.clone(), held.key.clone()),
    )
    .await
}

/// Usage, what is not yet part of it, and the counters of budgets.
async fn spent(pipe: &mut Pipe, state: &AppState, subject: &str) -> Result<(), Stop> {
    let store = &state.store;
    let ever = UsageQuery {
        subject: Some(subject.to_owned()),
        from: "-infinity".to_owned(),
        to: "infinity".to_owned(),
    };
    list(
        pipe,
        "usage",
        |after| store.usage(&ever, after, PART),
        |row| UsageCursor {
            day: row.day.clone(),
            id: row.id,
        },
    )
    .await?;
    pipe.text(",\"open_questions\":").await?;
    pipe.json(&store.open_spendings(subject).await?).await?;
    let shared = shared_budgets(&state.budgets.table());
    pipe.text(",\"budgets\":").await?;
    pipe.json(&store.own_windows(subject, &shared).await?).await
}

/// What the orchestrator holds, page by page.
async fn elsewhere(pipe: &mut Pipe, state: &AppState, subject: &str) -> Result<(), Stop> {
    for (name, kind) in ELSEWHERE {
        pipe.text(&format!(",\"{name}\":[")).await?;
        let (mut token, mut is_first) = (String::new(), true);
        loop {
            let page = state.orchestrator.export_person(subject, kind, token);
            let page = page.await?;
            for record in &page.records_json {
                if !std::mem::take(&mut is_first) {
                    pipe.text(",").await?;
                }
                pipe.text(record).await?;
            }
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        pipe.text("]").await?;
    }
    Ok(())
}

/// Writes a list, part by part: `read` reads one after the place that `place` gives.
async fn list<T, C, F>(
    pipe: &mut Pipe,
    name: &str,
    read: impl Fn(Option<C>) -> F,
    place: impl Fn(&T) -> C,
) -> Result<(), Stop>
where
    T: Serialize,
    F: Future<Output = Result<Vec<T>, StoreError>>,
{
    pipe.text(&format!(",\"{name}\":[")).await?;
    let (mut after, mut is_first) = (None, true);
    loop {
        let part = read(after).await?;
        let Some(last) = part.last() else { break };
        after = Some(place(last));
        for item in &part {
            if !std::mem::take(&mut is_first) {
                pipe.text(",").await?;
            }
            pipe.json(item).await?;
        }
    }
    pipe.text("]").await
}
