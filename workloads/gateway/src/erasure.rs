//! The end of everything that the gateway and the orchestrator hold of a person, on their wish or on
//! that of an administrator for somebody who has left.
//!
//! It goes step by step, each in a transaction of its own, and what is gone stays gone: who asks
//! again after a failure goes on where it broke off. Sessions are the last, so that whoever asks
//! still can; only what their answers left as they ended goes after them.

pub mod elsewhere;

use std::sync::Arc;

use lotoai_contracts::events::PersonErased;
use lotoai_policy::documents::uploaded_by;
use serde::Serialize;

use crate::budget::ledger;
use crate::budget::table::{Scope, Table};
use crate::failure::Failure;
use crate::state::AppState;
use crate::store::StoreError;

/// Conversations and documents per step.
const BATCH: i64 = 20;

/// What is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Erased {
    /// Conversations, with their messages and streams.
    pub conversations: u64,
    /// Documents. Their bytes and passages go within minutes.
    pub documents: u64,
    /// Uploads, unfinished or finished within a day. Their bytes go within minutes.
    pub uploads: u64,
    /// API keys.
    pub api_keys: usize,
    /// Rows of usage by day.
    pub usage_days: u64,
    /// Questions that were not yet part of it.
    pub open_questions: u64,
    /// Counters of budgets.
    pub budget_windows: u64,
    /// Stored answers to requests with an `Idempotency-Key`.
    pub idempotency_keys: u64,
    /// Calls of tools that needed consent, with their arguments.
    pub approvals: u64,
    /// Records of how they were decided.
    pub decisions: u64,
    /// Records of how questions were answered.
    pub runs: u64,
    /// Browser sessions.
    pub sessions: usize,
}

/// Who wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The person. What they have spent of budgets that still run stays counted until those begin
    /// anew: or else this would be the way around every limit.
    Own,
    /// An administrator.
    Administrator,
}

/// The budgets whose counters are not a single person's.
pub fn shared_budgets(table: &Table) -> Vec<String> {
    let budgets = table.budgets.iter();
    budgets
        .filter(|budget| matches!(budget.scope, Scope::Platform | Scope::Group))
        .map(|budget| budget.name.clone())
        .collect()
}

/// Erases a person. That goes on though whoever asked leaves meanwhile.
///
/// # Errors
/// 503 when the database or the orchestrator is away: ask again, to go on.
pub async fn erase(state: &Arc<AppState>, subject: &str, wish: Wish) -> Result<Erased, Failure> {
    let (own, subject) = (Arc::clone(state), subject.to_owned());
    let erasing = Box::pin(async move { everything(&own, &subject, wish).await });
    state.see_through(erasing).await
}

async fn everything(state: &AppState, subject: &str, wish: Wish) -> Result<Erased, Failure> {
    let store = &state.store;
    // Programs first: they would go on adding.
    let keys = state.key_ring.delete_all(subject).await?;
    let conversations = conversations(state, subject).await?;
    store.erase_approvals(subject).await?;
    // Before documents, which they become.
    let uploads = store.erase_uploads(subject).await?;
    let documents = documents(state, subject).await?;
    let early = traces(state, subject).await?;
    let shared = shared_budgets(&state.budgets.table());
    let budget_windows = store
        .erase_windows(subject, &keys, &shared, wish == Wish::Own)
        .await?;
    let idempotency_keys = store.erase_idempotency_keys(subject).await?;
    let answered = elsewhere::erase(state, subject).await?;
    let sessions = state.sessions.end_all(subject).await?;
    // Answers of those sessions ended with them. What of that is stored by now goes, too.
    let late = traces(state, subject).await?;
    tracing::info!(?wish, "everything that was held of a person is erased");
    metrics::counter!("lotoai_gateway_erasures_total").increment(1);
    Ok(Erased {
        conversations,
        documents,
        uploads,
        api_keys: keys.len(),
        usage_days: early.usage_days + late.usage_days,
        open_questions: early.open_questions + late.open_questions,
        budget_windows,
        idempotency_keys,
        approvals: answered.approvals,
        decisions: answered.decisions,
        runs: answered.runs,
        sessions,
    })
}

/// What is kept of the questions of a person beside their conversations.
struct Traces {
    usage_days: u64,
    open_questions: u64,
}

async fn traces(state: &AppState, subject: &str) -> Result<Traces, StoreError> {
    let store = &state.store;
    // What is settled reaches the counters that others share, before it goes.
    ledger::fold(store).await?;
    let open_questions = store.erase_spendings(subject).await?;
    let mut change = store.begin().await?;
    let usage_days = change.erase_usage(subject).await?;
    change.erase_events(subject).await?;
    // What is with the broker by now, or further on, goes there.
    let erased = PersonErased::new(subject, jiff::Timestamp::now());
    change.emit(&erased).await?;
    change.commit().await?;
    state.events.now();
    Ok(Traces {
        open_questions,
        usage_days,
    })
}

async fn conversations(state: &AppState, subject: &str) -> Result<u64, StoreError> {
    let mut all = 0;
    loop {
        let erased = state.store.erase_conversations(subject, BATCH).await?;
        all += erased;
        if erased < BATCH.unsigned_abs() {
            return Ok(all);
        }
    }
}

/// Deletes documents as their uploader does, one by one.
async fn documents(state: &AppState, subject: &str) -> Result<u64, StoreError> {
    let mut all = 0;
    loop {
        let own = uploaded_by(subject);
        let documents = state.store.documents(&own, None, None, BATCH).await?;
        if documents.is_empty() {
            return Ok(all);
        }
        let mut change = state.store.begin().await?;
        for document in documents {
            all += u64::from(change.delete_document(document.id).await?);
        }
        change.commit().await?;
        state.events.now();
        state.discarded.now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_groups_and_everybody_share_is_no_persons() {
        let table = crate::budget::table::parse(
            "budgets:
             - {name: all, scope: Platform, per: Day, requests: 1}
             - {name: group, scope: Group, per: Day, requests: 1}
             - {name: user, scope: User, per: Day, requests: 1}
             - {name: key, scope: APIKey, per: Day, requests: 1}",
        )
        .unwrap();
        assert_eq!(shared_budgets(&table), ["all", "group"]);
    }
}
