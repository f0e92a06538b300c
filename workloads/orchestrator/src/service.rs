//! The gRPC face.

use std::time::Instant;

use lotoai_contracts::failures;
use lotoai_contracts::v1::{
    AnswerEvent, AnswerRequest, Finished, ListModelsRequest, ListModelsResponse, Model,
    answer_event::Event, orchestrator_server::Orchestrator,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::{
    agents::may_use,
    failure::Failure,
    flows::{
        self, AUTOMATIC, Done, Hub, PROBE,
        session::{Out, Session},
    },
    store::Outcome,
};

/// Events that may wait for a slow caller.
const BUFFERED_EVENTS: usize = 32;

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
}

#[tonic::async_trait]
impl Orchestrator for OrchestratorService {
    type AnswerStream = ReceiverStream<Result<AnswerEvent, Status>>;

    async fn answer(
        &self,
        request: Request<AnswerRequest>,
    ) -> Result<Response<Self::AnswerStream>, Status> {
        let request = request.into_inner();
        let span = tracing::info_span!("answer", run_id = request.run_id, model = request.model);
        let (out, receiver) = mpsc::channel(BUFFERED_EVENTS);
        self.tasks
            .spawn(run(self.hub.clone(), request, out).instrument(span));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        let caller = request
            .into_inner()
            .caller
            .ok_or_else(|| Status::invalid_argument("caller is missing"))?;
        let automatic = Model {
            id: AUTOMATIC.to_owned(),
            description: "Decides by itself between documents, roles and tools.".to_owned(),
        };
        let roles = self.hub.agents.roles().await;
        let roles = roles.map_err(|failure| Status::unavailable(failure.message))?;
        let roles = roles.iter().filter(|role| may_use(role, &caller));
        let roles = roles.map(|role| Model {
            id: role.name.clone(),
            description: role.description.clone(),
        });
        let models = std::iter::once(automatic).chain(roles).collect();
        Ok(Response::new(ListModelsResponse { models }))
    }
}

/// Runs one answer to its one end.
async fn run(hub: Hub, request: AnswerRequest, out: Out) {
    let started = Instant::now();
    let mut session = match Session::new(request, out.clone()) {
        Ok(session) => session,
        Err(failure) => {
            count("none", &failure.code, started);
            last(&out, Event::Failed(failure.wire())).await;
            return;
        }
    };
    let limit = hub.args.request_timeout();
    let result = tokio::select! {
        // A caller who is gone pays for nothing more: dropping the work ends every call below it.
        () = out.closed() => Err(Failure::permanent(failures::CANCELLED, "the caller went away")),
        result = tokio::time::timeout(limit, Box::pin(flows::answer(&hub, &mut session))) => {
            result.unwrap_or_else(|_| Err(too_slow(limit.as_secs())))
        }
    };
    let outcome = outcome(&result);
    count(session.route, &outcome.outcome, started);
    if session.run.model != PROBE
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
            Event::Failed(failure.wire())
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
