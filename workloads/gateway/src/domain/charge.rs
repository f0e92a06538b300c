//! How a run is charged: reserved with its question, settled with its answer.

use jiff::Timestamp;

use crate::budget::counters::Reserved;
use crate::budget::estimate::{self, Measured, Progress, Tokens};
use crate::budget::plan::{Plan, Question, Spending};
use crate::failure::Failure;
use crate::state::AppState;
use crate::store::{Asked, Change, NewQuestion, NewTalk};

/// How a run is charged.
#[derive(Debug, Clone, Default)]
pub struct Charge {
    question: Option<Question>,
    is_reserved: bool,
    /// What the caller should know about its budgets.
    pub warnings: Vec<String>,
}

impl Charge {
    /// Stores a question, where it is stored, and reserves what it may take: both, or neither; within
    /// `change`, as the last of it, or by itself. Without a question to reserve for, it counts nowhere.
    ///
    /// # Errors
    /// 404 when the conversation is not the caller's, 429 when a budget is used up, 403 when a price
    /// is not known and must be, 503 when the database is away.
    pub async fn open(
        state: &AppState,
        question: Option<Question>,
        talk: Option<NewTalk>,
        change: Option<&mut Change>,
    ) -> Result<Self, Failure> {
        let now = Timestamp::now();
        let lease = state.limits.answer_lease();
        let table = state.budgets.table();
        let plan = match &question {
            Some(question) => question.plan(&table, lease, now)?,
            None => None,
        };
        let mut charge = Self {
            is_reserved: plan.is_some(),
            warnings: Vec::new(),
            question: None,
        };
        if talk.is_some() || plan.is_some() {
            let reservation = plan.as_ref().map(Plan::reservation);
            let question = NewQuestion { talk, reservation };
            let asked = match change {
                Some(change) => change.ask(&[&question]).await?.pop(),
                None => Some(state.store.ask(question).await?),
            };
            let Some(Asked::Weighed(reserved)) = asked else {
                return Err(no_conversation());
            };
            if let Some(plan) = &plan {
                charge.warnings = judge(plan, &reserved, now)?;
            }
        }
        charge.question = question;
        Ok(charge)
    }

    /// What is to be charged, now that the answer has ended.
    pub fn close(&self, state: &AppState, progress: Progress<'_>) -> Option<Spending> {
        self.settle(state, |reserved| estimate::of_answer(progress, reserved))
    }

    /// What is to be charged for what `measure` makes of the tokens that were reserved.
    pub fn settle(
        &self,
        state: &AppState,
        measure: impl FnOnce(Tokens) -> Measured,
    ) -> Option<Spending> {
        self.question.clone().map(|question| {
            let measured = measure(question.tokens);
            question.spending(measured, &state.budgets.table())
        })
    }

    /// Whether something is reserved that an end settles.
    pub const fn is_reserved(&self) -> bool {
        self.is_reserved
    }
}

fn judge(plan: &Plan<'_>, reserved: &Reserved, now: Timestamp) -> Result<Vec<String>, Failure> {
    let judged = plan.judge(reserved, now);
    if let Err(refusal) = &judged {
        metrics::counter!("lotoai_gateway_budget_refusals_total",
            "code" => refusal.code.to_string())
        .increment(1);
    }
    judged
}

/// 404 for a conversation that a question cannot go on with.
pub(super) fn no_conversation() -> Failure {
    let mut failure = Failure::not_found("conversation");
    failure.param = Some("metadata.conversation_id".to_owned());
    failure
}
