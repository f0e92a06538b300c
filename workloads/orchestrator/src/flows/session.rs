//! One request while it is being answered: who asks what, what was said so far.

use std::time::Instant;

use lotoai_contracts::failures;
use lotoai_contracts::v1::{
    AnswerEvent, AnswerFormat, AnswerRequest, ApprovalRequest, Caller, Citation, Citations,
    Decision as WireDecision, Delta, FunctionCallDelta, Functions, Message, Sampling, ToolCall,
    answer_event::Event, decision::Route as WireRoute,
};
use tokio::sync::mpsc;
use tonic::Status;
use uuid::Uuid;

use super::{AUTOMATIC, Hub};
use crate::{
    domain::{
        approval::Cleared,
        language::{self, Language},
        router::{Decision, Route},
    },
    failure::Failure,
    store::{Decided, Run, Step},
};

/// The most turns that a conversation may have.
const MAX_TURNS: usize = 512;
/// The longest question that is routed, in characters; the embedding model reads 256 tokens.
const MAX_QUESTION_CHARS: usize = 8_000;

/// Events go here.
pub type Out = mpsc::Sender<Result<AnswerEvent, Status>>;

/// A call of a tool that has begun.
#[derive(Debug)]
pub struct Calling {
    /// What is called.
    pub call: Cleared,
    /// Since when.
    pub since: Instant,
}

/// One request.
pub struct Session {
    /// Identity of the run.
    pub run: Run,
    /// On whose behalf.
    pub caller: Caller,
    /// The conversation.
    pub messages: Vec<Message>,
    /// As much of the last thing that the user said as is routed; [`Self::said`] gives all of it.
    pub question: String,
    /// The language of the question.
    pub language: Language,
    /// Upper bound of the answer in tokens.
    pub max_tokens: Option<u32>,
    /// Sampling temperature.
    pub temperature: Option<f32>,
    /// How else a model is to write, where one writes the answer.
    pub sampling: Option<Sampling>,
    /// Functions that the caller runs itself.
    pub functions: Option<Functions>,
    /// What the answer is written as; `None` is plain text.
    pub format: Option<AnswerFormat>,
    /// What was done so far.
    pub steps: Vec<Step>,
    /// How the decision looked, for metrics.
    pub route: &'static str,
    /// Where this run fails now, it gets no end in the store, so that it may be sent again: what a
    /// person decides must not be lost with one attempt to do it.
    pub may_go_on: bool,
    /// Whether a model may have been asked to write, which its provider charges.
    pub model_asked: bool,
    /// The call of a tool that may have done its work. A run that is ended before it has told what came
    /// of it must not be repeated.
    pub calling: Option<Calling>,
    out: Out,
}

impl Session {
    /// Checks a request.
    ///
    /// # Errors
    /// A field is missing or out of bounds; the failure names it.
    pub fn new(request: AnswerRequest, out: Out) -> Result<Self, Failure> {
        let (id, caller) = who(&request.run_id, request.caller)?;
        if request.messages.len() > MAX_TURNS {
            let count = request.messages.len();
            return Err(invalid(format!(
                "messages has {count} entries: send at most {MAX_TURNS}"
            )));
        }
        let question = Some(last_said(&request.messages)).filter(|said| !said.is_empty());
        let question =
            question.ok_or_else(|| invalid("messages holds no text of the user: send some"))?;
        let question: String = question.chars().take(MAX_QUESTION_CHARS).collect();
        Ok(Self {
            run: Run {
                id,
                conversation: request.conversation_id,
                subject: caller.subject.clone(),
                model: request.model,
            },
            caller,
            language: language::detect(&question),
            question,
            messages: request.messages,
            max_tokens: request.max_tokens,
            temperature: request.temperature,
            sampling: request.sampling,
            functions: request.functions.filter(|it| !it.declared.is_empty()),
            format: request.format,
            steps: Vec::new(),
            route: "none",
            may_go_on: false,
            model_asked: false,
            calling: None,
            out,
        })
    }

    /// A run that goes on with what another one has asked a person: it has no question of its own.
    ///
    /// # Errors
    /// `run_id` or `caller` is missing; the failure names it.
    pub fn continuing(run_id: &str, caller: Option<Caller>, out: Out) -> Result<Self, Failure> {
        let (id, caller) = who(run_id, caller)?;
        Ok(Self {
            run: Run {
                id,
                conversation: String::new(),
                subject: caller.subject.clone(),
                model: AUTOMATIC.to_owned(),
            },
            caller,
            messages: Vec::new(),
            question: String::new(),
            language: Language::English,
            max_tokens: None,
            temperature: None,
            sampling: None,
            functions: None,
            format: None,
            steps: Vec::new(),
            route: "none",
            may_go_on: true,
            model_asked: false,
            calling: None,
            out,
        })
    }

    /// The last thing that the user said, to its last word: what a model is to answer.
    #[must_use]
    pub fn said(&self) -> &str {
        last_said(&self.messages)
    }

    /// The field of the request that is about functions of the caller, if there is one.
    #[must_use]
    pub fn about_functions(&self) -> Option<&'static str> {
        if self.functions.is_some() {
            Some("tools")
        } else if self.messages.iter().any(Message::is_of_functions) {
            Some("messages")
        } else {
            None
        }
    }

    /// The field of the request that only models of agent roles understand, if there is one.
    #[must_use]
    pub fn only_for_roles(&self) -> Option<&'static str> {
        let format = self.format.as_ref().map(|_| "response_format");
        self.about_functions().or(format)
    }

    /// The clock for [`Self::step`].
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Notes what was done.
    pub fn step(&mut self, kind: &'static str, target: &str, outcome: &str, started: Instant) {
        self.steps.push(Step {
            kind,
            target: target.to_owned(),
            outcome: outcome.to_owned(),
            duration_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
        });
    }

    /// Stores the decision, then tells the caller.
    ///
    /// # Errors
    /// The store is away, or the caller is gone.
    pub async fn decide(&mut self, hub: &Hub, decision: &Decision) -> Result<(), Failure> {
        let decided = decided(decision);
        hub.store.decide(&self.run, &decided).await?;
        self.show(decision).await
    }

    /// Tells the caller the decision.
    ///
    /// # Errors
    /// The caller is gone.
    pub async fn show(&mut self, decision: &Decision) -> Result<(), Failure> {
        let decided = decided(decision);
        self.route = decided.route;
        let route = match decision.route {
            Route::Knowledge => WireRoute::Knowledge,
            Route::Agent(_) => WireRoute::Agent,
            Route::Tool(_) => WireRoute::Tool,
        };
        self.emit(Event::Decision(WireDecision {
            route: route.into(),
            target: decided.target,
            reason: decided.reason,
            confidence: decided.confidence,
        }))
        .await
    }

    /// Sends a piece of the answer.
    ///
    /// # Errors
    /// The caller is gone.
    pub async fn say(&self, text: impl Into<String>) -> Result<(), Failure> {
        let text = text.into();
        if text.is_empty() {
            return Ok(());
        }
        self.emit(Event::Delta(Delta { text })).await
    }

    /// Sends the passages that the answer rests on.
    ///
    /// # Errors
    /// The caller is gone.
    pub async fn cite(&self, citations: Vec<Citation>) -> Result<(), Failure> {
        self.emit(Event::Citations(Citations { citations })).await
    }

    /// Sends what a tool did.
    ///
    /// # Errors
    /// The caller is gone.
    pub async fn tool_call(&self, call: ToolCall) -> Result<(), Failure> {
        self.emit(Event::ToolCall(call)).await
    }

    /// Sends a piece of a call of one of the caller's functions.
    ///
    /// # Errors
    /// The caller is gone.
    pub async fn function_call(&self, piece: FunctionCallDelta) -> Result<(), Failure> {
        self.emit(Event::FunctionCall(piece)).await
    }

    /// Sends what the person who asked is to decide.
    ///
    /// # Errors
    /// The caller is gone.
    pub async fn ask(&self, request: ApprovalRequest) -> Result<(), Failure> {
        self.emit(Event::ApprovalRequest(request)).await
    }

    async fn emit(&self, event: Event) -> Result<(), Failure> {
        let event = AnswerEvent { event: Some(event) };
        let gone = |_| Failure::permanent(failures::CANCELLED, "the caller went away");
        self.out.send(Ok(event)).await.map_err(gone)
    }
}

/// A field of the request is missing or out of bounds; `message` names it.
#[must_use]
pub fn invalid(message: impl Into<String>) -> Failure {
    Failure::permanent(failures::INVALID_REQUEST, message)
}

/// The last thing that the user said; empty where that is nothing.
fn last_said(messages: &[Message]) -> &str {
    let mut newest = messages.iter().rev();
    let last = newest.find(|message| message.role == "user");
    last.map_or("", |message| message.content.trim())
}

/// The identity of the run, and on whose behalf it is.
fn who(run_id: &str, caller: Option<Caller>) -> Result<(Uuid, Caller), Failure> {
    let id = Uuid::parse_str(run_id).map_err(|_| invalid("run_id must be a UUID"))?;
    let caller = caller
        .filter(|caller| !caller.subject.is_empty())
        .ok_or_else(|| invalid("caller.subject is empty: the gateway must say who asks"))?;
    Ok((id, caller))
}

/// A decision as it is stored.
#[must_use]
pub fn decided(decision: &Decision) -> Decided {
    let (route, target) = match &decision.route {
        // One search covers every knowledge base that the caller may read.
        Route::Knowledge => ("knowledge", "documents"),
        Route::Agent(role) => ("agent", role.as_str()),
        Route::Tool(tool) => ("tool", tool.as_str()),
    };
    Decided {
        route,
        target: target.to_owned(),
        reason: decision.reason.clone(),
        confidence: decision.confidence,
    }
}
