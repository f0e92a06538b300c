//! Walks a role's models until one of them begins to answer.
//!
//! Fail-over happens before the first piece of text only: after it, the caller has already read
//! something, and a second model would contradict the first.

use std::{collections::HashMap, time::Instant};

use lotoai_contracts::v1::Sampling;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    breaker::Breaker,
    collect::Collected,
    config::Timeouts,
    format::Format,
    functions::{CallPiece, Functions},
    provider::{Failure, FailureKind, Provider, Providers, Request, Speaker, Turn, Usage},
    table::{ModelRef, Role, Table},
};

/// What the caller asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The role.
    pub role: String,
    /// The conversation, without the role's prompt.
    pub turns: Vec<Turn>,
    /// Upper bound of the answer in tokens.
    pub max_tokens: Option<u32>,
    /// Sampling temperature.
    pub temperature: Option<f32>,
    /// How else the model is to write.
    pub sampling: Sampling,
    /// Functions that the model may ask its caller to run.
    pub functions: Option<Functions>,
    /// What the answer is written as; `None` = plain text.
    pub format: Option<Format>,
}

impl Ask {
    /// The field of the request that only a model with tools understands, if there is one.
    fn needs_tools(&self) -> Option<&'static str> {
        let spoken_of = |turn: &Turn| !turn.calls.is_empty() || turn.answers.is_some();
        if self.functions.is_some() {
            Some("tools")
        } else if self.turns.iter().any(spoken_of) {
            Some("messages")
        } else {
            None
        }
    }

    /// Why a model is not asked at all: it cannot do what is asked for.
    fn beyond(&self, provider: &Provider, model: &str) -> Option<Failure> {
        match self.needs_tools() {
            Some(param) if provider.is_local() => Some(Failure::no_tools(model, param)),
            _ if self.format.is_some() && !provider.takes_formats() => {
                Some(Failure::no_formats(model))
            }
            _ => provider
                .beyond(self.temperature, &self.sampling)
                .map(|param| Failure::not_taken(model, &self.role, param)),
        }
    }
}

/// What a caller gets of an answer while it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// More text.
    Text(String),
    /// More of a function call.
    Call(CallPiece),
}

/// How an answer ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// `stop`, `length`, `content_filter`, `tool_calls`, or the provider's own word.
    pub finish_reason: String,
    /// Tokens as the provider counted them.
    pub usage: Usage,
    /// The model that answered.
    pub model: String,
    /// Its provider.
    pub provider: String,
}

/// Why an attempt ended.
enum Attempt {
    /// Nothing was sent to the caller yet: the next model may try.
    BeforeFirst(Failure),
    /// The caller has read a part.
    AfterFirst(Failure),
}

/// Answers for roles.
pub struct Completer {
    table: Table,
    providers: Providers,
    breakers: HashMap<String, Breaker>,
    timeouts: Timeouts,
}

impl Completer {
    /// A completer over a checked table.
    #[must_use]
    pub fn new(table: Table, providers: Providers, timeouts: Timeouts) -> Self {
        let breakers = table
            .providers
            .iter()
            .map(|p| (p.name.clone(), Breaker::default()));
        let breakers = breakers.collect();
        Self {
            table,
            providers,
            breakers,
            timeouts,
        }
    }

    /// The roles, each with whether it can be trusted to plan: its first model whose provider can
    /// be called is not a local one.
    pub fn roles(&self) -> impl Iterator<Item = (&Role, bool)> {
        self.table.roles.iter().map(|role| {
            let usable = role
                .models
                .iter()
                .find(|m| self.providers.get(&m.provider).is_ok());
            (
                role,
                usable.is_some_and(|m| self.providers.capable(&m.provider)),
            )
        })
    }

    /// Streams the answer into `out`. Ends early, and with it the call at the provider,
    /// when this future is dropped.
    ///
    /// # Errors
    /// No model of the role answered, or one broke off.
    pub async fn complete(
        &self,
        ask: &Ask,
        out: &mpsc::Sender<Piece>,
    ) -> Result<Finished, Failure> {
        let role = self
            .table
            .role(&ask.role)
            .ok_or_else(|| Failure::unknown_role(&ask.role))?;
        match timeout(self.timeouts.total, self.walk(role, ask, out)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::timeout(
                &role.name,
                "took longer than the whole time allowed",
            )),
        }
    }

    async fn walk(
        &self,
        role: &Role,
        ask: &Ask,
        out: &mpsc::Sender<Piece>,
    ) -> Result<Finished, Failure> {
        let mut failures = Vec::new();
        for (place, model) in role.models.iter().enumerate() {
            let is_last = place + 1 == role.models.len();
            match self.attempt(role, model, is_last, ask, out).await {
                Ok(finished) => return Ok(finished),
                Err(Attempt::AfterFirst(failure)) => return Err(failure),
                Err(Attempt::BeforeFirst(failure)) => {
                    // The message may hold what the provider says of the prompt: the caller gets
                    // it, the log does not.
                    tracing::warn!(
                        role = role.name,
                        provider = model.provider,
                        model = model.model,
                        code = failure.kind.code(),
                        "a model did not begin to answer"
                    );
                    failures.push(failure);
                }
            }
        }
        Err(combine(failures))
    }

    async fn attempt(
        &self,
        role: &Role,
        model: &ModelRef,
        is_last: bool,
        ask: &Ask,
        out: &mpsc::Sender<Piece>,
    ) -> Result<Finished, Attempt> {
        let provider = self
            .providers
            .get(&model.provider)
            .map_err(Attempt::BeforeFirst)?;
        if let Some(failure) = ask.beyond(provider, &model.model) {
            count(model, failure.kind.code());
            return Err(Attempt::BeforeFirst(failure));
        }
        let breaker = self.breakers.get(&model.provider);
        if breaker.is_some_and(|breaker| !breaker.allows()) {
            count(model, "breaker_open");
            return Err(Attempt::BeforeFirst(Failure::breaker_open(&model.provider)));
        }
        let result = self
            .stream(provider, model, is_last, &request(role, model, ask), out)
            .await;
        let failure = match &result {
            Ok(_) => None,
            Err(Attempt::BeforeFirst(failure) | Attempt::AfterFirst(failure)) => Some(failure),
        };
        count(model, failure.map_or("ok", |failure| failure.kind.code()));
        if let Some(breaker) = breaker {
            match failure {
                Some(failure) if counts(provider, failure) => breaker.failed(),
                // It says nothing about the provider: neither that it is well.
                Some(failure) if failure.kind == FailureKind::Timeout => {}
                _ => breaker.succeeded(),
            }
        }
        result
    }

    async fn stream(
        &self,
        provider: &Provider,
        model: &ModelRef,
        is_last: bool,
        request: &Request,
        out: &mpsc::Sender<Piece>,
    ) -> Result<Finished, Attempt> {
        let started = Instant::now();
        let (head, first_token) = self.timeouts.before_text(provider.is_local(), is_last);
        let name = provider.name();
        let begin = async {
            let mut events = timeout(head, provider.start(request))
                .await
                .unwrap_or_else(|_| Err(Failure::silent(name)))?;
            let mut state = Collected::new(&request.sampling.stop);
            let thinking = state.next_piece(name, &mut events, first_token, Failure::thinking);
            let piece = thinking.await?;
            Ok::<_, Failure>((events, state, piece))
        };
        let (mut events, mut state, mut next) = begin.await.map_err(Attempt::BeforeFirst)?;
        metrics::histogram!(
            "lotoai_agents_first_token_seconds",
            "provider" => model.provider.clone(), "model" => model.model.clone()
        )
        .record(started.elapsed().as_secs_f64());
        while let Some(piece) = next {
            if out.send(piece).await.is_err() {
                // The caller is gone; the service drops this future as well.
                break;
            }
            next = state
                .next_piece(
                    name,
                    &mut events,
                    self.timeouts.between_tokens,
                    Failure::stopped,
                )
                .await
                .map_err(Attempt::AfterFirst)?;
        }
        count_tokens(model, state.usage);
        Ok(Finished {
            finish_reason: state.finish_reason.unwrap_or_else(|| "stop".to_owned()),
            usage: state.usage,
            model: model.model.clone(),
            provider: model.provider.clone(),
        })
    }
}

/// Does the failure say that the provider is ill?
fn counts(provider: &Provider, failure: &Failure) -> bool {
    failure.unhealthy && !(provider.is_local() && failure.kind == FailureKind::Timeout)
}

/// The role's prompt, then the conversation.
fn request(role: &Role, model: &ModelRef, ask: &Ask) -> Request {
    let prompt =
        (!role.prompt.trim().is_empty()).then(|| Turn::said(Speaker::System, role.prompt.as_str()));
    Request {
        model: model.model.clone(),
        turns: prompt
            .into_iter()
            .chain(ask.turns.iter().cloned())
            .collect(),
        max_tokens: ask.max_tokens,
        temperature: ask.temperature,
        sampling: ask.sampling.clone(),
        functions: ask.functions.clone(),
        format: ask.format.clone(),
    }
}

/// One failure for a role whose every model failed: the code of the last one that was really
/// asked, all the reasons, and "try again" if that can help with any of them.
fn combine(failures: Vec<Failure>) -> Failure {
    let retryable = failures.iter().any(|failure| failure.retryable);
    let kind = failures
        .iter()
        .rev()
        .find(|failure| failure.retryable)
        .or(failures.last())
        .map_or(FailureKind::Unavailable, |failure| failure.kind);
    let reasons: Vec<String> = failures
        .into_iter()
        .map(|failure| failure.message)
        .collect();
    Failure {
        kind,
        message: reasons.join("; "),
        retryable,
        unhealthy: false,
    }
}

fn count(model: &ModelRef, outcome: &'static str) {
    metrics::counter!(
        "lotoai_agents_calls_total",
        "provider" => model.provider.clone(), "model" => model.model.clone(), "outcome" => outcome
    )
    .increment(1);
}

fn count_tokens(model: &ModelRef, usage: Usage) {
    for (direction, tokens) in [("input", usage.input), ("output", usage.output)] {
        if let Some(tokens) = tokens {
            metrics::counter!(
                "lotoai_agents_tokens_total",
                "provider" => model.provider.clone(), "model" => model.model.clone(),
                "direction" => direction
            )
            .increment(tokens);
        }
    }
}
