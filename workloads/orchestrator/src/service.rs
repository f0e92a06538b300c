//! The gRPC face.

mod run;

use lotoai_contracts::v1::{
    AnswerEvent, AnswerRequest, Approval as WireApproval, ApprovalState, Caller,
    DecideApprovalRequest, ErasePersonRequest, ErasePersonResponse, ExportPersonRequest,
    ExportPersonResponse, ListApprovalsRequest, ListApprovalsResponse, ListModelsRequest,
    ListModelsResponse, Model, RecordKind, orchestrator_server::Orchestrator,
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
        self, AUTOMATIC, Done, Hub, consent,
        session::{Out, Session},
    },
    store::{
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

pub use run::Stop;

/// `lotoai.v1.Orchestrator`.
pub struct OrchestratorService {
    hub: Hub,
    tasks: TaskTracker,
    stop: Stop,
}

impl OrchestratorService {
    /// A service; `tasks` lets the process wait for running answers when it drains, and `stop` says
    /// how long it does.
    #[must_use]
    pub fn new(hub: Hub, tasks: TaskTracker, stop: Stop) -> Self {
        Self { hub, tasks, stop }
    }

    fn begin(&self, work: Work, span: tracing::Span) -> Response<Events> {
        let (out, receiver) = mpsc::channel(BUFFERED_EVENTS);
        let running = run::run(self.hub.clone(), work, out, self.stop.clone());
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
