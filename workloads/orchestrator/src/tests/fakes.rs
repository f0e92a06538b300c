//! Servers that play the far sides, and a client of ours.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use lotoai_contracts::v1::{
    AnswerEvent, AnswerRequest, Caller, Citation, CompleteEvent, CompleteFailed, CompleteFinished,
    CompleteRequest, DecideApprovalRequest, DeleteDocumentRequest, DeleteDocumentResponse,
    FunctionCallDelta, ListRolesRequest, ListRolesResponse, Message, ReplaceDocumentRequest,
    ReplaceDocumentResponse, Role, SearchRequest, SearchResponse, StatsRequest, StatsResponse,
    agents_server::{Agents, AgentsServer},
    answer_event::Event,
    complete_event,
    orchestrator_server::Orchestrator as _,
    rag_server::{Rag, RagServer},
};
use lotoai_kit::tls::TlsArgs;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_stream::{
    Stream, StreamExt,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Code, Request, Response, Status};
use url::Url;
use wiremock::{Mock, MockServer, Respond, ResponseTemplate, matchers::path};

use super::fake_tools::{self, FakeTool};
use crate::{
    config::AnswerArgs,
    domain::text,
    embeddings::Embeddings,
    flows::Hub,
    mcp::Mcp,
    service::{OrchestratorService, Stop},
    store::Store,
};

/// What the far sides hold and how they behave.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) passages: Vec<(&'static str, f32)>,
    pub(super) roles: Vec<Role>,
    /// Text that a role answers with; `None` = it fails.
    pub(super) answer: Option<Vec<&'static str>>,
    /// Pieces of function calls that a capable role answers with after its text.
    pub(super) calls: Vec<FunctionCallDelta>,
    /// With it an answer of a role goes on for ever after a piece of text, and this is told when it is
    /// given up.
    pub(super) endless: Option<Arc<Notify>>,
    /// The parameter that no role can be held to.
    pub(super) refuses: Option<&'static str>,
    pub(super) rag_down: bool,
    /// What the next searches end with, before there are passages; the last one comes first.
    pub(super) rag_faults: Arc<Mutex<Vec<Code>>>,
    /// Searches that were asked for.
    pub(super) searches: watch::Sender<usize>,
    pub(super) models_down: bool,
    pub(super) mcp_down: bool,
    pub(super) agents_down: bool,
    /// Seconds that a request may take; `None` = 30.
    pub(super) seconds: Option<u64>,
    /// How the tool is declared; tests may change it meanwhile.
    pub(super) tool: Arc<Mutex<FakeTool>>,
}

/// Everything running, and what was seen.
pub(super) struct Stage {
    pub(super) service: OrchestratorService,
    /// Tells the service to stop, which then waits for nobody.
    pub(super) stop: CancellationToken,
    pub(super) stored: Arc<Mutex<Vec<String>>>,
    pub(super) completions: Arc<Mutex<Vec<CompleteRequest>>>,
    _models: MockServer,
}

#[derive(Clone)]
struct FakeRag(World);

#[tonic::async_trait]
impl Rag for FakeRag {
    async fn search(
        &self,
        request: Request<SearchRequest>,
    ) -> Result<Response<SearchResponse>, Status> {
        let request = request.into_inner();
        assert!(!request.caller.unwrap().subject.is_empty());
        self.0.searches.send_modify(|count| *count += 1);
        if let Some(code) = self.0.rag_faults.lock().unwrap().pop() {
            return Err(Status::new(code, "as the test says"));
        }
        let hits = (0_u32..)
            .zip(&self.0.passages)
            .map(|(at, (passage, score))| Citation {
                document_id: format!("d{at}"),
                document_name: format!("d{at}.md"),
                passage: (*passage).to_owned(),
                score: *score,
                ..Citation::default()
            });
        Ok(Response::new(SearchResponse {
            hits: hits.collect(),
        }))
    }
    async fn replace_document(
        &self,
        _: Request<ReplaceDocumentRequest>,
    ) -> Result<Response<ReplaceDocumentResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn delete_document(
        &self,
        _: Request<DeleteDocumentRequest>,
    ) -> Result<Response<DeleteDocumentResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}

#[derive(Clone)]
struct FakeAgents(World, Arc<Mutex<Vec<CompleteRequest>>>);

#[tonic::async_trait]
impl Agents for FakeAgents {
    type CompleteStream = Pin<Box<dyn Stream<Item = Result<CompleteEvent, Status>> + Send>>;

    async fn complete(
        &self,
        request: Request<CompleteRequest>,
    ) -> Result<Response<Self::CompleteStream>, Status> {
        let request = request.into_inner();
        self.1.lock().unwrap().push(request.clone());
        if let Some(given_up) = &self.0.endless {
            let guard = TellDropped(Arc::clone(given_up));
            let event = Some(complete_event::Event::Delta("so".to_owned()));
            let rest = tokio_stream::pending().map(move |event| {
                let _alive = &guard;
                event
            });
            let all: Self::CompleteStream =
                Box::pin(tokio_stream::once(Ok(CompleteEvent { event })).chain(rest));
            return Ok(Response::new(all));
        }
        let capable = self
            .0
            .roles
            .iter()
            .any(|it| it.name == request.role && it.capable);
        let knows_no_tools = request.functions.is_some() && !capable;
        let refused = self.0.refuses.or(knows_no_tools.then_some("tools"));
        let events: Vec<complete_event::Event> = match &self.0.answer {
            Some(_) if refused.is_some() => {
                vec![complete_event::Event::Failed(CompleteFailed {
                    code: "unsupported_parameter".to_owned(),
                    message: "cannot be held to this".to_owned(),
                    retryable: false,
                    param: refused.unwrap_or_default().to_owned(),
                })]
            }
            Some(pieces) => pieces
                .iter()
                .map(|piece| complete_event::Event::Delta((*piece).to_owned()))
                .chain(
                    self.0
                        .calls
                        .iter()
                        .cloned()
                        .map(complete_event::Event::FunctionCall),
                )
                .chain([complete_event::Event::Finished(CompleteFinished {
                    finish_reason: "stop".to_owned(),
                    usage: None,
                    model: "m".to_owned(),
                    provider: "p".to_owned(),
                })])
                .collect(),
            None => vec![complete_event::Event::Failed(CompleteFailed {
                code: "provider_unavailable".to_owned(),
                message: "set KEY".to_owned(),
                retryable: false,
                param: String::new(),
            })],
        };
        let events = events
            .into_iter()
            .map(|event| Ok(CompleteEvent { event: Some(event) }));
        let all: Self::CompleteStream = Box::pin(tokio_stream::iter(events));
        Ok(Response::new(all))
    }
    async fn list_roles(
        &self,
        _: Request<ListRolesRequest>,
    ) -> Result<Response<ListRolesResponse>, Status> {
        Ok(Response::new(ListRolesResponse {
            roles: self.0.roles.clone(),
        }))
    }
}

struct TellDropped(Arc<Notify>);

impl Drop for TellDropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Vectors by words: texts that share words are near.
struct WordVectors;

impl Respond for WordVectors {
    fn respond(&self, request: &wiremock::Request) -> ResponseTemplate {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let texts = body["input"].as_array().unwrap().iter();
        let data: Vec<Value> = texts
            .enumerate()
            .map(|(index, text)| {
                let mut vector = vec![0.0_f32; 512];
                for word in text::topic(text.as_str().unwrap()) {
                    let hash = word
                        .bytes()
                        .fold(7_usize, |h, b| h.wrapping_mul(31) + usize::from(b));
                    vector[hash % 512] += 1.0;
                }
                json!({"index": index, "embedding": vector})
            })
            .collect();
        ResponseTemplate::new(200).set_body_json(json!({"data": data}))
    }
}

async fn listener() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    (listener, url)
}

/// Starts the far sides and the service, which notes what it stores.
pub(super) async fn stage(world: World) -> Stage {
    let stored: Arc<Mutex<Vec<String>>> = Arc::default();
    let store = Store::Recording(Arc::clone(&stored));
    let mut stage = stage_on(world, store).await;
    stage.stored = stored;
    stage
}

/// Starts the far sides and the service on this store.
pub(super) async fn stage_on(world: World, store: Store) -> Stage {
    let completions: Arc<Mutex<Vec<CompleteRequest>>> = Arc::default();
    let nowhere: Url = "http://127.0.0.1:9".parse().unwrap();
    let (grpc, grpc_url) = listener().await;
    let router = tonic::transport::Server::builder()
        .add_service(RagServer::new(FakeRag(world.clone())))
        .add_service(AgentsServer::new(FakeAgents(
            world.clone(),
            Arc::clone(&completions),
        )));
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(grpc)));
    let (http, http_url) = listener().await;
    let app = fake_tools::app(&world.tool);
    tokio::spawn(async move { axum::serve(http, app).await });
    let models = MockServer::start().await;
    Mock::given(path("/v1/embeddings"))
        .respond_with(WordVectors)
        .mount(&models)
        .await;

    let token = SecretString::from("t".repeat(32));
    let pick = |down: bool, url: Url| if down { nowhere.clone() } else { url };
    let channel =
        |url: &Url| lotoai_kit::upstream::grpc_channel(url, &token, &TlsArgs::default()).unwrap();
    let client =
        |url: &Url| lotoai_kit::upstream::http_client(url, &token, &TlsArgs::default()).unwrap();
    let models_url = pick(world.models_down, models.uri().parse().unwrap());
    let mcp_url = pick(world.mcp_down, http_url.join("/mcp").unwrap());
    let hub = Hub {
        agents: crate::agents::Agents::new(channel(&pick(world.agents_down, grpc_url.clone()))),
        rag: crate::rag::Rag::new(channel(&pick(world.rag_down, grpc_url))),
        mcp: Mcp::new(client(&mcp_url), mcp_url),
        embeddings: Embeddings::new(client(&models_url), &models_url, "e".to_owned()).unwrap(),
        store,
        args: AnswerArgs {
            embedding_model: "e".to_owned(),
            request_timeout_seconds: world.seconds.unwrap_or(30),
            local_context_tokens: 2_048,
            capable_context_tokens: 32_768,
        },
    };
    let stop = CancellationToken::new();
    let at_once = Stop::new(stop.clone(), Duration::ZERO);
    let service = OrchestratorService::new(hub, TaskTracker::new(), at_once);
    Stage {
        service,
        stop,
        stored: Arc::default(),
        completions,
        _models: models,
    }
}

pub(super) fn role(name: &str, groups: &[&str], capable: bool) -> Role {
    Role {
        name: name.to_owned(),
        description: format!("{name} of texts"),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        capable,
    }
}

pub(super) fn user(text: &str) -> Message {
    Message {
        role: "user".to_owned(),
        content: text.to_owned(),
        ..Message::default()
    }
}

pub(super) fn request(model: &str, messages: Vec<Message>) -> AnswerRequest {
    AnswerRequest {
        run_id: "0191f0c4-0000-7000-8000-000000000001".to_owned(),
        caller: Some(Caller {
            subject: "s".to_owned(),
            name: "ana".to_owned(),
            groups: vec!["staff".to_owned()],
        }),
        model: model.to_owned(),
        messages,
        ..AnswerRequest::default()
    }
}

impl Stage {
    /// Asks and gives every event.
    pub(super) async fn ask(&self, request: AnswerRequest) -> Vec<Event> {
        let stream = self.service.answer(Request::new(request)).await;
        every(stream.unwrap().into_inner()).await
    }

    /// Decides and gives every event.
    pub(super) async fn decide(&self, request: DecideApprovalRequest) -> Vec<Event> {
        let stream = self.service.decide_approval(Request::new(request)).await;
        every(stream.unwrap().into_inner()).await
    }

    pub(super) fn stored(&self) -> Vec<String> {
        self.stored.lock().unwrap().clone()
    }
}

async fn every(stream: ReceiverStream<Result<AnswerEvent, Status>>) -> Vec<Event> {
    let all = stream.map(|event| event.unwrap().event.unwrap());
    tokio::time::timeout(Duration::from_secs(20), all.collect())
        .await
        .unwrap()
}

/// The answer's text.
pub(super) fn text_of(events: &[Event]) -> String {
    let deltas = events.iter().filter_map(|event| match event {
        Event::Delta(delta) => Some(delta.text.as_str()),
        _ => None,
    });
    deltas.collect()
}
