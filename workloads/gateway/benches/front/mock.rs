//! The far sides: an orchestrator over gRPC for the gateway and the least program, a provider of
//! OpenAI's API for the others. Both give the same answer at once, or, where `paced` is asked for, 64
//! deltas 20 ms apart that say when they were sent.

use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use futures::{Stream, StreamExt as _, stream};
use lotoai_contracts::v1::answer_event::Event;
use lotoai_contracts::v1::decision::Route;
use lotoai_contracts::v1::orchestrator_server::{Orchestrator, OrchestratorServer};
use lotoai_contracts::v1::{
    AnswerEvent, AnswerRequest, DecideApprovalRequest, Decision, Delta, ErasePersonRequest,
    ErasePersonResponse, ExportPersonRequest, ExportPersonResponse, Finished, ListApprovalsRequest,
    ListApprovalsResponse, ListModelsRequest, ListModelsResponse, Usage,
};
use serde_json::json;
use snafu::ResultExt as _;
use tokio::net::TcpListener;
use tonic::{Request, Status};

use crate::Result;
use crate::question::PACED;

/// Deltas of a paced answer.
pub(crate) const DELTAS: usize = 64;
/// What is between two of them.
pub(crate) const PACE: Duration = Duration::from_millis(20);
/// Half a kilobyte.
const ANSWER_BYTES: usize = 512;
/// What stands before a time in a delta.
const MARK: &str = "@";

type Events = Pin<Box<dyn Stream<Item = Result<AnswerEvent, Status>> + Send>>;

/// Addresses of the far sides.
#[derive(Clone, Debug)]
pub(crate) struct FarSides {
    /// The orchestrator, as a URL.
    pub(crate) orchestrator: String,
    /// The provider, as an address.
    pub(crate) provider: std::net::SocketAddr,
}

/// Serves both until the process ends.
pub(crate) async fn start() -> Result<FarSides> {
    let failed = "failed to bind a far side";
    let grpc = TcpListener::bind("127.0.0.1:0")
        .await
        .whatever_context(failed)?;
    let orchestrator = grpc.local_addr().whatever_context(failed)?;
    let incoming = tonic::transport::server::TcpIncoming::from(grpc).with_nodelay(Some(true));
    let server = tonic::transport::Server::builder().add_service(OrchestratorServer::new(Fake));
    tokio::spawn(server.serve_with_incoming(incoming));

    let http = TcpListener::bind("127.0.0.1:0")
        .await
        .whatever_context(failed)?;
    let provider = http.local_addr().whatever_context(failed)?;
    let http = http.tap_io(|stream| drop(stream.set_nodelay(true)));
    let router = Router::new().route("/v1/chat/completions", post(complete));
    tokio::spawn(async move { axum::serve(http, router).await });
    Ok(FarSides {
        orchestrator: format!("http://{orchestrator}"),
        provider,
    })
}

/// Nanoseconds since this process first asked.
fn clock() -> u128 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_nanos()
}

/// A text that says when it was sent.
fn stamped() -> String {
    format!("{MARK}{:020} and some words more ", clock())
}

/// How long ago a stamped text was sent; `None` for any other.
pub(crate) fn age(text: &str) -> Option<Duration> {
    let (_, rest) = text.split_once(MARK)?;
    let sent: u128 = rest.get(..20)?.parse().ok()?;
    let nanoseconds = clock().saturating_sub(sent);
    Some(Duration::from_nanos(u64::try_from(nanoseconds).ok()?))
}

/// The texts of an answer, each when it is due.
fn texts(is_paced: bool) -> Pin<Box<dyn Stream<Item = String> + Send>> {
    if !is_paced {
        return Box::pin(stream::iter(["x".repeat(ANSWER_BYTES)]));
    }
    let ticks = tokio::time::interval(PACE);
    Box::pin(
        stream::unfold(ticks, |mut ticks| async move {
            ticks.tick().await;
            Some((stamped(), ticks))
        })
        .take(DELTAS),
    )
}

struct Fake;

#[tonic::async_trait]
impl Orchestrator for Fake {
    type AnswerStream = Events;
    type DecideApprovalStream = Events;

    async fn answer(
        &self,
        request: Request<AnswerRequest>,
    ) -> Result<tonic::Response<Events>, Status> {
        let decision = Event::Decision(Decision {
            route: Route::Agent.into(),
            target: "writer".into(),
            reason: "asked for by name".into(),
            confidence: 1.0,
        });
        let finished = Event::Finished(Finished {
            finish_reason: "stop".into(),
            usage: Some(Usage {
                input_tokens: Some(256),
                output_tokens: Some(128),
            }),
            model: "model".into(),
            provider: "mock".into(),
        });
        let texts = texts(request.get_ref().model == PACED);
        let deltas = texts.map(|text| Event::Delta(Delta { text }));
        let all = stream::iter([decision])
            .chain(deltas)
            .chain(stream::iter([finished]));
        let events = all.map(|event| Ok(AnswerEvent { event: Some(event) }));
        Ok(tonic::Response::new(Box::pin(events)))
    }

    async fn list_models(
        &self,
        _: Request<ListModelsRequest>,
    ) -> Result<tonic::Response<ListModelsResponse>, Status> {
        Ok(tonic::Response::new(ListModelsResponse { models: vec![] }))
    }

    async fn list_approvals(
        &self,
        _: Request<ListApprovalsRequest>,
    ) -> Result<tonic::Response<ListApprovalsResponse>, Status> {
        Ok(tonic::Response::new(ListApprovalsResponse::default()))
    }

    async fn erase_person(
        &self,
        _: Request<ErasePersonRequest>,
    ) -> Result<tonic::Response<ErasePersonResponse>, Status> {
        Ok(tonic::Response::new(ErasePersonResponse::default()))
    }

    async fn export_person(
        &self,
        _: Request<ExportPersonRequest>,
    ) -> Result<tonic::Response<ExportPersonResponse>, Status> {
        Ok(tonic::Response::new(ExportPersonResponse::default()))
    }

    async fn decide_approval(
        &self,
        _: Request<DecideApprovalRequest>,
    ) -> Result<tonic::Response<Events>, Status> {
        Err(Status::not_found("nothing waits here"))
    }
}

async fn complete(body: Bytes) -> Response {
    let says = |text: &str| {
        body.windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    if !says("\"stream\":true") {
        static WHOLE: OnceLock<Bytes> = OnceLock::new();
        let whole = WHOLE.get_or_init(|| {
            let message = json!({ "role": "assistant", "content": "x".repeat(ANSWER_BYTES) });
            let answer = json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "model",
                "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": 256, "completion_tokens": 128, "total_tokens": 384 },
            });
            Bytes::from(answer.to_string())
        });
        return ([(CONTENT_TYPE, "application/json")], whole.clone()).into_response();
    }
    let chunk = |delta: serde_json::Value, reason: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "model",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }],
        });
        format!("data: {chunk}\n\n")
    };
    let deltas = texts(says(PACED)).map(move |text| chunk(json!({ "content": text }), None));
    let end = chunk(json!({}), Some("stop")) + "data: [DONE]\n\n";
    let events = deltas
        .chain(stream::iter([end]))
        .map(Ok::<_, std::convert::Infallible>);
    let body = Body::from_stream(events);
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}
