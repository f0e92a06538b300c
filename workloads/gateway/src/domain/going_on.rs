//! An answer that goes on after a person has decided: where it goes, which attempt it is, what it
//! reserves.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use lotoai_contracts::v1::DecideApprovalRequest;
use uuid::Uuid;

use super::approval_request::Verdict;
use super::charge::Charge;
use super::prepare::{Beginning, HISTORY, recalled};
use super::run::Run;
use super::stored_question::StoredQuestion;
use crate::budget::Principal;
use crate::budget::estimate;
use crate::budget::plan::Question;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::state::AppState;
use crate::store::{Attempt, NewStream, NewTalk};

/// A decision, and where the answer goes on that waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoingOn {
    /// The approval.
    pub approval: Uuid,
    /// What was decided.
    pub verdict: Verdict,
    /// The conversation that asked; `None` where nothing of the exchange is stored.
    pub conversation_id: Option<Uuid>,
    /// The model as whoever asked named it.
    pub model: String,
}

/// A decision that is ready to be told.
struct Ready {
    /// What the orchestrator is told.
    request: DecideApprovalRequest,
    /// How the answer is charged.
    charge: Charge,
}

impl Run {
    /// Claims an approval for a decision, reserves the budgets of the rest of its answer and prepares
    /// the call. All of that is done though the caller may leave meanwhile.
    ///
    /// # Errors
    /// 404 when its conversation is not the caller's, 409 when it is decided or is being decided, 429
    /// when a budget is used up, 403 when a price must be known and is not, 503 when it cannot be
    /// stored.
    pub async fn go_on(
        state: Arc<AppState>,
        identity: &Identity,
        going_on: GoingOn,
    ) -> Result<Self, Failure> {
        let (identity, own) = (identity.clone(), Arc::clone(&state));
        let begin = async move { Self::resume(own, &identity, going_on).await };
        state.see_through(begin).await
    }

    async fn resume(
        state: Arc<AppState>,
        identity: &Identity,
        going_on: GoingOn,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        let id = Uuid::now_v7();
        let Ready { request, charge } = prepare(&state, id, identity, &going_on).await?;
        tracing::info!(
            run_id = %id,
            approval_id = %going_on.approval,
            decision_run_id = request.run_id,
            "a run begins that goes on after a decision"
        );
        let events = state.orchestrator.decide(request);
        let beginning = Beginning {
            id,
            conversation_id: going_on.conversation_id,
            question: StoredQuestion::default(),
            charge,
            model: going_on.model,
            resumable: going_on.conversation_id.is_some(),
            repeated: None,
            decides: Some(going_on.approval),
        };
        Ok(Self::start(state, identity, beginning, events, started))
    }
}

/// Claims the approval, opens the stream of the answer and reserves its budgets: all, or nothing.
///
/// # Errors
/// 404 when the conversation is not the caller's or is deleted, 409 when the approval is decided or is
/// being decided, 429 when a budget is used up, 403 when a price must be known and is not, 503 when
/// the database is away.
async fn prepare(
    state: &AppState,
    run_id: Uuid,
    identity: &Identity,
    going_on: &GoingOn,
) -> Result<Ready, Failure> {
    let owner = identity.subject.as_str();
    let history = match going_on.conversation_id {
        Some(id) => {
            let history = state.store.history(owner, id, HISTORY).await?;
            history.ok_or_else(|| Failure::not_found("approval"))?
        }
        None => Vec::new(),
    };
    let mut change = state.store.begin().await?;
    let digest = going_on.verdict.digest();
    let attempt = Attempt {
        id: going_on.approval,
        owner,
        conversation_id: going_on.conversation_id,
        model: &going_on.model,
        digest: &digest,
        run_id,
    };
    let claimed = change.attempt_approval(&attempt).await?;
    let decision_run = claimed.ok_or_else(decided)?;
    let talk = going_on.conversation_id.map(|conversation_id| NewTalk {
        conversation_id,
        owner: owner.to_owned(),
        title: None,
        messages: Vec::new(),
        stream: Some(NewStream {
            run_id,
            conversation_id,
            subject: owner.to_owned(),
            api_key: String::new(),
            model: going_on.model.clone(),
            include_usage: false,
            repeated: None,
        }),
    });
    let question = Question {
        run_id,
        principal: Principal::of(identity),
        // What the tool gives is not known: the platform's own share stands for it, too.
        tokens: estimate::of_question(&recalled(history), None, None, None),
        highest: state.budgets.table().highest(&going_on.model),
    };
    let charge = Charge::open(state, Some(question), talk, Some(&mut change)).await?;
    change.commit().await?;
    let verdict = &going_on.verdict;
    Ok(Ready {
        request: DecideApprovalRequest {
            caller: Some(identity.to_caller()),
            approval_id: going_on.approval.to_string(),
            decision: verdict.decision.into(),
            arguments_json: verdict.arguments_json.clone(),
            reason: verdict.reason.clone(),
            run_id: decision_run.to_string(),
        },
        charge,
    })
}

/// 409 for what is decided, or is being decided.
fn decided() -> Failure {
    Failure::new(
        StatusCode::CONFLICT,
        lotoai_contracts::failures::APPROVAL_DECIDED,
        "this was decided before, or is being decided; GET /api/approvals/{id} says how far it is, \
         and its conversation has the rest of the answer",
    )
}
