//! Vectors of texts: reserved before the call, charged and recorded after it, however it ends.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use lotoai_contracts::events::UsageRecorded;
use lotoai_policy::models;
use uuid::Uuid;

use super::charge::Charge;
use super::embedding_request::{EmbeddingRequest, Inputs};
use super::end::{End, Record};
use crate::budget::Principal;
use crate::budget::estimate::{self, Read};
use crate::budget::plan::Question;
use crate::budget::table::ModelName;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::identity::watch::Follow;
use crate::model_server::Unanswered;
use crate::state::AppState;
use crate::store::RunEnd;

/// The provider that the platform's own models belong to, as in `agents.providers` and prices.
const PROVIDER: &str = "local";
/// Stands in usage where other records have the route of a decision.
const ROUTE: &str = "embeddings";

/// Vectors, and what the caller should know about its budgets.
#[derive(Debug)]
pub struct Embedded {
    /// JSON in OpenAI's shape.
    pub body: Bytes,
    /// One for each budget that is nearly used up.
    pub warnings: Vec<String>,
}

/// Asks for the vectors of the request's texts.
///
/// # Errors
/// 404 for a model that makes no vectors or that the caller may not name, 400 for what the model
/// cannot do, 429 when a budget is used up or the model has too much to do, 403 when a price must
/// be known and is not, 503 and 504 when the model server or the database is away or too slow.
pub async fn embed(
    state: Arc<AppState>,
    identity: &Identity,
    request: &EmbeddingRequest,
) -> Result<Embedded, Failure> {
    let started = Instant::now();
    if request.model != state.model_server.model()
        || !models::may_name(identity.who(), &request.model)
    {
        return Err(Failure::unknown_model());
    }
    let model = ModelName {
        provider: PROVIDER.to_owned(),
        model: request.model.clone(),
    };
    let question = Question {
        run_id: Uuid::now_v7(),
        principal: Principal::of(identity),
        tokens: match &request.inputs {
            Inputs::Texts(texts) => estimate::of_texts(texts),
            Inputs::Tokens(lists) => estimate::of_token_lists(lists),
        },
        highest: state.budgets.table().highest_of(&model),
    };
    let begin = Call::begin(
        Arc::clone(&state),
        identity.clone(),
        question,
        model,
        started,
    );
    // Though the caller may leave meanwhile: then the call is dropped, and gives back what is reserved.
    let call = state.see_through(begin).await?;
    call.run(request).await
}

/// A call that goes on. Dropped before its end, it is recorded as cancelled.
struct Call {
    state: Arc<AppState>,
    run_id: Uuid,
    subject: String,
    model: ModelName,
    charge: Charge,
    follow: Follow,
    started: Instant,
    /// Whether the model server may have been asked.
    asked: bool,
    closed: bool,
}

impl Call {
    /// Reserves what the call may take.
    async fn begin(
        state: Arc<AppState>,
        identity: Identity,
        question: Question,
        model: ModelName,
        started: Instant,
    ) -> Result<Self, Failure> {
        let run_id = question.run_id;
        let charge = Charge::open(&state, Some(question), None, None).await?;
        Ok(Self {
            follow: state.watch.follow(&identity),
            subject: identity.subject,
            state,
            run_id,
            model,
            charge,
            started,
            asked: false,
            closed: false,
        })
    }

    async fn run(mut self, request: &EmbeddingRequest) -> Result<Embedded, Failure> {
        self.asked = true;
        let answer = tokio::select! {
            biased;
            failure = self.follow.over() => Err(Unanswered::in_the_middle(failure)),
            answer = self.state.model_server.embed(request) => answer,
            () = self.state.ending.cancelled() => {
                Err(Unanswered::in_the_middle(Failure::shutting_down()))
            }
        };
        let (read, outcome) = match &answer {
            Ok(vectors) => (Read::Counted(vectors.tokens), "ok"),
            Err(unanswered) => (unanswered.read, &*unanswered.failure.code),
        };
        self.closed = true;
        let mut end = self.end(read, outcome);
        // Where it is not stored, the vectors are whole all the same. A reservation is charged as it
        // was made then.
        end.told(&self.state.ending).await?;
        let vectors = answer.map_err(|unanswered| *unanswered.failure)?;
        Ok(Embedded {
            body: vectors.body,
            warnings: std::mem::take(&mut self.charge.warnings),
        })
    }

    /// Begins to store what the call came to.
    fn end(&self, read: Read, outcome: &str) -> End {
        let duration = self.started.elapsed();
        metrics::histogram!("lotoai_gateway_answer_seconds",
            "route" => ROUTE, "outcome" => outcome.to_owned())
        .record(duration.as_secs_f64());
        let input_tokens = match read {
            Read::Counted(tokens) => Some(tokens),
            Read::Nothing => Some(0),
            Read::Unknown => None,
        };
        let end = RunEnd {
            answer: None,
            asked: Vec::new(),
            decided: None,
            stream: None,
            response: None,
            undone: None,
            spending: self.charge.settle(&self.state, |reserved| {
                estimate::of_vectors(read, self.model.clone(), reserved)
            }),
            is_reserved: self.charge.is_reserved(),
            event: UsageRecorded {
                run_id: self.run_id.to_string(),
                ended_at: Timestamp::now().to_string(),
                subject: self.subject.clone(),
                requested_model: self.model.model.clone(),
                model: self.model.model.clone(),
                provider: self.model.provider.clone(),
                route: ROUTE.to_owned(),
                outcome: outcome.to_owned(),
                input_tokens,
                output_tokens: Some(0),
                first_token_ms: None,
                duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            },
        };
        let record = Record {
            end: Arc::new(end),
            is_probe: false,
            until: (self.started + self.state.limits.answer_lease()).into(),
        };
        End::begin(Ok(()), record, &self.state)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let read = if self.asked {
            Read::Unknown
        } else {
            Read::Nothing
        };
        // Nobody waits to be told.
        drop(self.end(read, "cancelled"));
    }
}
