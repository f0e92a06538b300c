//! One question and its answer: stored before the call, told step by step, stored at the end
//! together with its usage record, however it ends.

mod record;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use lotoai_contracts::v1::AnswerRequest;
use lotoai_kit::AnsweredBy;
use lotoai_policy::models;
use serde_json::Value;
use tokio::sync::watch::Sender;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::charge::Charge;
use super::chat_request::ChatRequest;
use super::end::{End, Whole};
use super::prepare::{Beginning, Prepared, prepare};
use super::stored_question::{StoredQuestion, Streaming};
use super::transcript::{Step, Transcript};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::identity::watch::Follow;
use crate::orchestrator::Events;
use crate::state::AppState;
use crate::store::AnswerPlace;
use crate::streams;

/// Outcome of a run that came to a good end.
pub const OK: &str = "ok";
/// Outcome of a run that was not let end.
pub const CANCELLED: &str = "cancelled";

/// The orchestrator ends a call at once after its last event.
const PARTING: Duration = Duration::from_secs(5);

/// A question that is being answered. Dropped before its end, it is stored as cancelled.
pub struct Run {
    /// Identity of the run.
    pub id: Uuid,
    /// The conversation that it is stored in.
    pub conversation_id: Option<Uuid>,
    /// What was said so far.
    pub transcript: Transcript,
    state: Arc<AppState>,
    subject: String,
    requested_model: String,
    charge: Charge,
    events: Events,
    follow: Follow,
    started: Instant,
    first_token: Option<Duration>,
    /// Whether a client may come back to it.
    resumable: bool,
    /// What is stored of what was asked.
    question: StoredQuestion,
    /// What a response repeats of its request, as JSON, where the answer is given back as one. What is
    /// not stored is not given back.
    repeated: Option<String>,
    /// The approval that it goes on after.
    decides: Option<Uuid>,
    /// How it ended, once it has.
    end: Option<End>,
    /// Whether that is a good one.
    is_whole: Sender<bool>,
}

impl Run {
    /// Stores the question, reserves its budgets and prepares the call. All of that is done though
    /// the caller may leave meanwhile: then the run is dropped, and what it reserved is given back.
    ///
    /// # Errors
    /// 404 when the conversation is not the caller's, 429 when a budget is used up, 403 when a
    /// price must be known and is not, 503 when it cannot be stored.
    pub async fn begin(
        state: Arc<AppState>,
        identity: &Identity,
        request: &Arc<ChatRequest>,
    ) -> Result<Self, Failure> {
        let (identity, request) = (identity.clone(), Arc::clone(request));
        let own = Arc::clone(&state);
        let begin = async move { Self::open(own, &identity, &request).await };
        state.see_through(begin).await
    }

    async fn open(
        state: Arc<AppState>,
        identity: &Identity,
        request: &ChatRequest,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        if !models::may_name(identity.who(), &request.model) {
            return Err(Failure::unknown_model());
        }
        let id = Uuid::now_v7();
        let Prepared {
            conversation_id,
            question,
            messages,
            charge,
        } = prepare(&state, id, identity, request).await?;
        let answer = AnswerRequest {
            run_id: id.to_string(),
            caller: Some(identity.to_caller()),
            model: request.model.clone(),
            messages,
            max_tokens: request.max_tokens,
            temperature: request.temperature,
            sampling: Some(request.sampling.clone()),
            conversation_id: conversation_id.map(|id| id.to_string()).unwrap_or_default(),
            functions: request.functions.clone(),
            format: request.format.clone(),
        };
        tracing::debug!(run_id = %id, model = request.model, "a run begins");
        let events = state.orchestrator.answer(answer);
        let beginning = Beginning {
            id,
            conversation_id,
            question,
            charge,
            model: request.model.clone(),
            resumable: request.resumable,
            repeated: request.repeated.clone(),
            decides: None,
        };
        Ok(Self::start(state, identity, beginning, events, started))
    }

    /// A run whose call is ready.
    pub(super) fn start(
        state: Arc<AppState>,
        identity: &Identity,
        beginning: Beginning,
        events: Events,
        started: Instant,
    ) -> Self {
        Self {
            id: beginning.id,
            conversation_id: beginning.conversation_id,
            transcript: Transcript::default(),
            events,
            follow: state.watch.follow(identity),
            subject: identity.subject.clone(),
            requested_model: beginning.model,
            charge: beginning.charge,
            state,
            started,
            first_token: None,
            resumable: beginning.resumable,
            question: beginning.question,
            repeated: beginning.repeated,
            decides: beginning.decides,
            end: None,
            is_whole: Sender::new(false),
        }
    }

    /// Whether a client may come back to it.
    pub const fn is_resumable(&self) -> bool {
        self.resumable
    }

    /// Raised where its client is told failures in a stream though nothing of the answer is there:
    /// then the question stays.
    pub fn streaming(&self) -> Streaming {
        self.question.is_streaming.clone()
    }

    /// Whether it has failed, be that told or not.
    pub fn has_failed(&self) -> bool {
        self.end.as_ref().is_some_and(End::is_bad)
    }

    /// Where its answer is found; `None` where it is not stored.
    pub fn place(&self) -> Option<AnswerPlace> {
        self.conversation_id.map(|conversation_id| AnswerPlace {
            run_id: self.id,
            conversation_id,
        })
    }

    /// What the line of its request says of it.
    pub fn answered_by(&self) -> AnsweredBy {
        AnsweredBy {
            run_id: self.id.to_string(),
            model: self.requested_model.clone(),
        }
    }

    /// Where its tasks run.
    pub fn tasks(&self) -> TaskTracker {
        self.state.tasks.clone()
    }

    /// Whether the answer becomes whole.
    pub fn whole(&self) -> Whole {
        Whole(self.is_whole.subscribe())
    }

    /// The `lotoai` object as far as it is known.
    pub fn lotoai(&self) -> Value {
        self.transcript.lotoai(self.id, self.conversation_id)
    }

    /// Cancels the call and stores what was said as cancelled, with `failure` as its end; a run that
    /// has ended keeps its end. Gives the end as [`Self::next`] does.
    ///
    /// # Errors
    /// `failure`, or what the run ended with before.
    pub async fn stop(&mut self, failure: Failure) -> Result<Step, Failure> {
        if self.end.is_none() {
            self.events = futures::stream::empty().boxed();
            self.close(CANCELLED, Err(failure));
        }
        self.next().await
    }

    /// What the caller should know about its budgets.
    pub fn budget_warnings(&self) -> &[String] {
        &self.charge.warnings
    }

    /// The next step of the answer. Safe to cancel: nothing is lost, and nothing is stored twice. The
    /// end, good or bad, is stored before it is told, and told again to who asks again.
    ///
    /// # Errors
    /// Why there is no (further) answer; then the run is over.
    pub async fn next(&mut self) -> Result<Step, Failure> {
        loop {
            if let Some(end) = &mut self.end {
                return end.told(&self.state.ending).await;
            }
            let event = tokio::select! {
                biased;
                failure = self.follow.over() => Some(Err(failure)),
                // Before the events: of one whose reader is behind there is always a next one.
                () = self.state.ending.cancelled() => Some(Err(Failure::shutting_down())),
                event = self.events.next() => event,
            };
            // Until the next turn nothing waits: what is taken of the events is told.
            let step = match event {
                Some(Ok(event)) => match event.event {
                    Some(event) => self.transcript.absorb(event),
                    // An event of a newer orchestrator.
                    None => continue,
                },
                Some(Err(failure)) => Err(failure),
                None => Err(Failure::new(
                    axum::http::StatusCode::BAD_GATEWAY,
                    "answer_incomplete",
                    "the answer broke off; try again",
                )),
            };
            match step {
                Ok(Step::Quiet) => {}
                Ok(Step::Finished) => {
                    self.part();
                    self.close(OK, Ok(()));
                }
                Ok(step) => {
                    if !matches!(step, Step::Decided) && self.first_token.is_none() {
                        self.first_token = Some(self.started.elapsed());
                    }
                    return Ok(step);
                }
                Err(failure) => {
                    let outcome = failure.code.clone();
                    self.close(&outcome, Err(failure));
                }
            }
        }
    }

    /// Lets the call end by itself after its last event: dropping it now would reach the
    /// orchestrator as a cancellation of an answer that was finished.
    fn part(&mut self) {
        let mut events = std::mem::replace(&mut self.events, futures::stream::empty().boxed());
        self.state.tasks.spawn(async move {
            if tokio::time::timeout(PARTING, events.next()).await.is_err() {
                tracing::debug!("the orchestrator did not end a finished call");
            }
        });
    }

    /// The run is over; its end is being stored from now on.
    fn close(&mut self, outcome: &str, how: Result<(), Failure>) {
        let record = self.record(outcome, how.as_ref().err());
        self.is_whole.send_replace(how.is_ok());
        self.end = Some(End::begin(how, record, &self.state));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.close(CANCELLED, Err(streams::stopped()));
        }
    }
}
