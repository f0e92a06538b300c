//! The gRPC face.

use std::time::Instant;

use lotoai_contracts::failures;
use lotoai_contracts::v1::{
    AnswerEvent, AnswerRequest, Approval as WireApproval, ApprovalState, Caller,
    DecideApprovalRequest, ErasePersonRequest, ErasePersonResponse, ExportPersonRequest,
    ExportPersonResponse, Finished, ListApprovalsRequest, ListApprovalsResponse, ListModelsRequest,
    ListModelsResponse, Model, RecordKind, answer_event::Event, orchestrator_server::Orchestrator,
};
use lotoai_policy::declared::may_use;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    failure::Failure,
    flows::{
        self, AUTOMATIC, Done, Hub, PROBE, consent,
        session::{Out, Session},
    },
    store::{
        Outcome,
        approvals::{Approval, State},
        personal::Kind,
    },
};

/// Events that may wait for a slow caller.
const BUFFERED_EVENTS: usize = 32;
/// Approvals in one page, unless the caller says how many.
const PAGE: u32 = 50;
/// The most approvals in one page.
const MAX_PAGE: u32 = 100;

/// `lotoai.v1.Orchestrator`.
pub struct OrchestratorService {
    hub: Hub,
    tasks: TaskTracker,
}

impl OrchestratorService {
    /// A service; `tasks` lets the process wait for running answers when it drains.
    #[must_use]
    pub fn new(hub: Hub, tasks: TaskTracker) -> Self {
        Self { hub, tasks }
    }

    fn begin(&self, work: Work, span: tracing::Span) -> Response<Events> {
        let (out, receiver) = mpsc::channel(BUFFERED_EVENTS);
        let running = run(self.hub.clone(), work, out);
        self.tasks.spawn(running.instrument(span));
        Response::new(ReceiverStream::new(receiver))
    }
}

type Events = ReceiverStream<Result<AnswerEvent, Status>>;

/// What a run does.
enum Work {
    Answer(Box<AnswerRequest>),
    Decide(Box<DecideApprovalRequest>),
}

/// The same, checked.
enum Checked {
    Answer,
    Decide(consent::Request),
}

impl Work {
    fn check(self, out: Out) -> Result<(Session, Checked), Failure> {
        match self {
            Self::Answer(request) => Ok((Session::new(*request, out)?, Checked::Answer)),
            Self::Decide(request) => {
                let session = Session::continuing(&request.run_id, request.caller.clone(), out)?;
                let decision = consent::Request::read(&request)?;
                Ok((session, Checked::Decide(decision)))
            }
        }
    }
}

impl Checked {
    async fn done(&self, hub: &Hub, session: &mut Session) -> Result<Done, Failure> {
        match self {
            Self::Answer => Box::pin(flows::answer(hub, session)).await,
            Self::Decide(request) => Box::pin(consent::decide(hub, session, request)).await,
        }
    }
}

fn known(caller: Option<Caller>) -> Result<Caller, Status> {
    caller.ok_or_else(|| Status::invalid_argument("caller is missing"))
}

/// Whom a request is about. PostgreSQL has no text with a zero, and no issuer a name.
fn person(subject: &str) -> Result<&str, Status> {
    if subject.is_empty() || subject.contains('\0') {
        return Err(Status::invalid_argument("subject is missing or no text"));
    }
    Ok(subject)
}

/// The last thing on the page before; `None` = there was none.
fn place(page_token: &str) -> Result<Option<Uuid>, Status> {
    if page_token.is_empty() {
        return Ok(None);
    }
    Uuid::parse_str(page_token).map(Some).map_err(|_| {
        Status::invalid_argument("page_token is none that was given: begin without one")
    })
}

fn unavailable(failure: Failure) -> Status {
    Status::unavailable(failure.message)
}

fn wire(approval: &Approval) -> WireApproval {
    let state = match approval.state {
        State::Pending => ApprovalState::Pending,
        State::Approved => ApprovalState::Approved,
        State::Denied => ApprovalState::Denied,
        State::Expired => ApprovalState::Expired,
    };
    let ruled = approval.ruled.as_ref();
    WireApproval {
        request: Some(consent::wire(
            approval.id,
            &approval.asked,
            approval.expires_at,
        )),
        state: state.into(),
        run_id: approval.run.to_string(),
        conversation_id: approval.conversation.clone(),
        created_at: approval.created_at,
        decided_at: ruled.map(|it| it.at).unwrap_or_default(),
        reason: ruled.map(|it| it.reason.clone()).unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl Orchestrator for OrchestratorService {
    type AnswerStream = Events;
    type DecideApprovalStream = Events;

    async fn answer(
        &self,
        request: Request<AnswerRequest>,
    ) -> Result<Response<Self::AnswerStream>, Status> {
        let request = request.into_inner();
        let span = tracing::info_span!("answer", run_id = request.run_id, model = request.model);
        Ok(self.begin(Work::Answer(Box::new(request)), span))
    }

    async fn decide_approval(
        &self,
        request: Request<DecideApprovalRequest>,
    ) -> Result<Response<Self::DecideApprovalStream>, Status> {
        let request = request.into_inner();
        let span = tracing::info_span!("decide_approval", run_id = request.run_id);
        Ok(self.begin(Work::Decide(Box::new(request)), span))
    }

    async fn list_approvals(
        &self,
        request: Request<ListApprovalsRequest>,
    ) -> Result<Response<ListApprovalsResponse>, Status> {
        let request = request.into_inner();
        let state = match request.state() {
            ApprovalState::Unspecified => None,
            ApprovalState::Pending => Some(State::Pending),
            ApprovalState::Approved => Some(State::Approved),
            ApprovalState::Denied => Some(State::Denied),
            ApprovalState::Expired => Some(State::Expired),
        };
        let caller = known(request.caller)?;
        let after = place(&request.page_token)?;
        let size = match request.page_size {
            0 => PAGE,
            size => size.min(MAX_PAGE),
        };
        let store = &self.hub.store;
        let listed = store.approvals(&caller.subject, state, after, i64::from(size) + 1);
        let mut found = listed.await.map_err(unavailable)?;
        // One more was asked for than the page holds, to see whether there are more.
        let more = u32::try_from(found.len()).is_ok_and(|count| count > size);
        if more {
            found.pop();
        }
        let last = found.last().filter(|_| more);
        Ok(Response::new(ListApprovalsResponse {
            next_page_token: last.map(|it| it.id.to_string()).unwrap_or_default(),
            approvals: found.iter().map(wire).collect(),
        }))
    }

    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        let caller = known(request.into_inner().caller)?;
        let automatic = Model {
            id: AUTOMATIC.to_owned(),
            description: "Decides by itself between documents, roles and tools.".to_owned(),
        };
        let roles = self.hub.agents.roles().await;
        let roles = roles.map_err(unavailable)?;
        let roles = roles
            .iter()
            .filter(|role| may_use(&role.groups, &caller.groups));
        let roles = roles.map(|role| Model {
            id: role.name.clone(),
            description: role.description.clone(),
        });
        let models = std::iter::once(automatic).chain(roles).collect();
        Ok(Response::new(ListModelsResponse { models }))
    }

    async fn erase_person(
        &self,
        request: Request<ErasePersonRequest>,
    ) -> Result<Response<ErasePersonResponse>, Status> {
        let request = request.into_inner();
        let erasing = self.hub.store.erase_person(person(&request.subject)?);
        let gone = erasing.await.map_err(unavailable)?;
        tracing::info!(
            approvals = gone.approvals,
            decisions = gone.decisions,
            runs = gone.runs,
            more = gone.more,
            "what was held of a person was deleted"
        );
        Ok(Response::new(ErasePersonResponse {
            approvals: gone.approvals,
            decisions: gone.decisions,
            runs: gone.runs,
            more: gone.more,
        }))
    }

    async fn export_person(
        &self,
        request: Request<ExportPersonRequest>,
    ) -> Result<Response<ExportPersonResponse>, Status> {
        let request = request.into_inner();
        let kind = match request.kind() {
            RecordKind::Unspecified => {
                return Err(Status::invalid_argument("kind is missing"));
            }
            RecordKind::Approval => Kind::Approval,
            RecordKind::Decision => Kind::Decision,
            RecordKind::Run => Kind::Run,
        };
        let (subject, after) = (person(&request.subject)?, place(&request.page_token)?);
        let page = self.hub.store.records(subject, kind, after).await;
        let page = page.map_err(unavailable)?;
        Ok(Response::new(ExportPersonResponse {
            records_json: page.records,
            next_page_token: page.next.map(|last| last.to_string()).unwrap_or_default(),
        }))
    }
}

/// Runs one answer to its one end.
async fn run(hub: Hub, work: Work, out: Out) {
    let started = Instant::now();
    let (mut session, work) = match work.check(out.clone()) {
        Ok(checked) => checked,
        Err(failure) => {
            count("none", &failure.code, started);
            last(&out, Event::Failed(failure.wire(false))).await;
            return;
        }
    };
    let limit = hub.args.request_timeout();
    let result = tokio::select! {
        // A caller who is gone pays for nothing more: dropping the work ends every call below it.
        () = out.closed() => Err(Failure::permanent(failures::CANCELLED, "the caller went away")),
        result = tokio::time::timeout(limit, work.done(&hub, &mut session)) => {
            result.unwrap_or_else(|_| Err(too_slow(limit.as_secs())))
        }
    };
    let outcome = outcome(&result);
    count(session.route, &outcome.outcome, started);
    if session.run.model != PROBE
        && !(session.may_go_on && result.is_err())
        && let Err(failure) = hub
            .store
            .finish(&session.run, &outcome, &session.steps)
            .await
    {
        tracing::error!(
            reason = failure.message,
            "the end of a run could not be stored"
        );
    }
    let event = match result {
        Ok(done) => Event::Finished(finished(done)),
        Err(failure) => {
            // The message may quote the prompt: the caller gets it, the log does not.
            tracing::warn!(code = failure.code, "a request failed");
            Event::Failed(failure.wire(session.model_asked))
        }
    };
    last(&out, event).await;
}

fn too_slow(seconds: u64) -> Failure {
    Failure::passing(
        failures::TIMEOUT,
        format!("the answer took longer than {seconds} s: ask for less, or try again"),
    )
}

fn outcome(result: &Result<Done, Failure>) -> Outcome {
    let tokens = |count: Option<u64>| count.and_then(|count| i64::try_from(count).ok());
    match result {
        Ok(done) => Outcome {
            outcome: "ok".to_owned(),
            model: done.model.clone(),
            provider: done.provider.clone(),
            input_tokens: tokens(done.usage.as_ref().and_then(|usage| usage.input_tokens)),
            output_tokens: tokens(done.usage.as_ref().and_then(|usage| usage.output_tokens)),
        },
        Err(failure) => Outcome {
            outcome: failure.code.clone(),
            ..Outcome::default()
        },
    }
}

fn finished(done: Done) -> Finished {
    Finished {
        finish_reason: done.finish_reason,
        usage: done.usage,
        model: done.model,
        provider: done.provider,
    }
}

fn count(route: &'static str, outcome: &str, started: Instant) {
    let outcome = outcome.to_owned();
    metrics::counter!("lotoai_orchestrator_runs_total", "route" => route, "outcome" => outcome)
        .increment(1);
    metrics::histogram!("lotoai_orchestrator_run_duration_seconds", "route" => route)
        .record(started.elapsed().as_secs_f64());
}

async fn last(out: &Out, event: Event) {
    if out
        .send(Ok(AnswerEvent { event: Some(event) }))
        .await
        .is_err()
    {
        tracing::debug!("the caller went away before the end");
    }
}
