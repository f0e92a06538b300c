//! How a run is charged: reserved with its question, settled with its answer.

use jiff::Timestamp;
use lotoai_contracts::v1::Message;
use uuid::Uuid;

use super::chat_request::{ChatRequest, PROBE_MODEL};
use crate::budget::Principal;
use crate::budget::estimate::{self, Measured, Progress, Tokens};
use crate::budget::plan::{Question, Spending};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::state::AppState;
use crate::store::{Change, StoreError};

/// How a run is charged.
#[derive(Debug, Clone, Default)]
pub struct Charge {
    question: Option<Question>,
    is_reserved: bool,
    /// What the caller should know about its budgets.
    pub warnings: Vec<String>,
}

impl Charge {
    /// Reserves what a run may take: within `change`, as its last statement, or by itself. The
    /// platform's own probe calls no model and counts nowhere.
    ///
    /// # Errors
    /// 429 when a budget is used up, 403 when a price is not known and must be, 503 when the
    /// database is away.
    pub async fn open(
        state: &AppState,
        run_id: Uuid,
        identity: &Identity,
        request: &ChatRequest,
        messages: &[Message],
        change: Option<&mut Change>,
    ) -> Result<Self, Failure> {
        if request.model == PROBE_MODEL {
            return Ok(Self::default());
        }
        let question = Question {
            run_id,
            principal: Principal::of(identity),
            tokens: estimate::of_question(
                messages,
                request.functions.as_ref(),
                request.format.as_ref(),
                request.max_tokens,
            ),
            highest: state.budgets.table().highest(&request.model),
        };
        Self::reserve(state, question, change).await
    }

    /// Reserves what a question may take: within `change`, as its last statement, or by itself.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn reserve(
        state: &AppState,
        question: Question,
        change: Option<&mut Change>,
    ) -> Result<Self, Failure> {
        let now = Timestamp::now();
        let lease = state.limits.answer_lease();
        let table = state.budgets.table();
        let warnings = match question.plan(&table, lease, now)? {
            None => None,
            Some(plan) => {
                let reserved = match change {
                    Some(change) => change.reserve(&plan).await?,
                    None => state.store.reserve(&plan).await?,
                };
                let judged = plan.judge(&reserved, now);
                if let Err(refusal) = &judged {
                    metrics::counter!("lotoai_gateway_budget_refusals_total",
                        "code" => refusal.code.to_string())
                    .increment(1);
                }
                Some(judged?)
            }
        };
        Ok(Self {
            is_reserved: warnings.is_some(),
            warnings: warnings.unwrap_or_default(),
            question: Some(question),
        })
    }

    /// What is to be charged, now that the answer has ended.
    pub fn close(&self, state: &AppState, progress: Progress<'_>) -> Settlement {
        self.settle(state, |reserved| estimate::of_answer(progress, reserved))
    }

    /// What is to be charged for what `measure` makes of the tokens that were reserved.
    pub fn settle(&self, state: &AppState, measure: impl FnOnce(Tokens) -> Measured) -> Settlement {
        let spending = self.question.clone().map(|question| {
            let measured = measure(question.tokens);
            question.spending(measured, &state.budgets.table())
        });
        Settlement {
            spending,
            is_reserved: self.is_reserved,
        }
    }
}

/// What is to be charged.
#[derive(Debug)]
pub struct Settlement {
    spending: Option<Spending>,
    is_reserved: bool,
}

impl Settlement {
    /// Whether something is reserved that it settles.
    pub const fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    /// Charges it, in one statement.
    ///
    /// # Errors
    /// When the database fails; then a reservation is charged as it was made.
    pub async fn store(&self, change: &mut Change) -> Result<(), StoreError> {
        match &self.spending {
            None => Ok(()),
            Some(spending) if self.is_reserved => change.settle(spending).await,
            Some(spending) => change.note(spending).await,
        }
    }
}
