//! Far sides of tests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use lotoai_contracts::events::Event;
use lotoai_contracts::v1::rag_client::RagClient;
use lotoai_contracts::v1::rag_server::{Rag, RagServer};
use lotoai_contracts::v1::{
    DeleteDocumentRequest, DeleteDocumentResponse, ReplaceDocumentRequest, ReplaceDocumentResponse,
    SearchRequest, SearchResponse, StatsRequest, StatsResponse,
};
use lotoai_kit::rabbitmq::PublishError;
use lotoai_kit::tls::TlsArgs;
use lotoai_kit::upstream::RagServerArgs;
use object_store::memory::InMemory;
use serde_json::json;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use url::Url;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::domain::chunk::Chunker;
use crate::embed::Embedder;
use crate::events::Broker;
use crate::pipeline::Pipeline;

/// Where nobody is.
pub(crate) fn nowhere() -> Url {
    "http://127.0.0.1:1".parse().unwrap()
}

/// A pipeline whose far sides are not there, but for what it tells.
pub(crate) fn pipeline(events: &Arc<Told>) -> Pipeline {
    Pipeline {
        objects: Arc::new(InMemory::new()),
        embedder: Embedder::new(reqwest::Client::new(), &nowhere(), "m").unwrap(),
        embedding_model: "m".to_owned(),
        rag: rag(nowhere()),
        chunker: Arc::new(Chunker::new(100, 0).unwrap()),
        max_bytes: 1024,
        events: Arc::clone(events) as Arc<dyn Broker>,
    }
}

fn rag(url: Url) -> RagClient<lotoai_kit::upstream::GrpcChannel> {
    let args = RagServerArgs {
        url,
        token: "t".into(),
    };
    RagClient::new(args.grpc_channel(&TlsArgs::default()).unwrap())
}

/// Starts an embedding model and lets the pipeline use it. Of its calls, counted from 0, it is away at
/// these, and takes so long for the others.
pub(crate) async fn model(
    pipeline: &mut Pipeline,
    away_at: &'static [usize],
    takes: Duration,
) -> MockServer {
    let server = MockServer::start().await;
    let calls = AtomicUsize::new(0);
    let answer = move |request: &wiremock::Request| {
        if away_at.contains(&calls.fetch_add(1, Relaxed)) {
            return ResponseTemplate::new(503);
        }
        let body: serde_json::Value = request.body_json().unwrap();
        let texts = body["input"].as_array().unwrap().len();
        let vector = |index| json!({"index": index, "embedding": [0.5]});
        let vectors: Vec<_> = (0..texts).map(vector).collect();
        let answer = ResponseTemplate::new(200).set_body_json(json!({"data": vectors}));
        answer.set_delay(takes)
    };
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let url = server.uri().parse().unwrap();
    pipeline.embedder = Embedder::new(reqwest::Client::new(), &url, "m").unwrap();
    server
}

/// What was told, or nothing where the broker takes nothing.
#[derive(Default)]
pub(crate) struct Told {
    /// How many messages more it does not take.
    refuses: AtomicUsize,
    messages: Mutex<Vec<(String, String, Vec<u8>)>>,
}

impl Told {
    /// A broker that takes nothing.
    pub(crate) fn refusing() -> Arc<Self> {
        Self::away_for(usize::MAX)
    }

    /// A broker that takes nothing so many times.
    pub(crate) fn away_for(times: usize) -> Arc<Self> {
        Arc::new(Self {
            refuses: times.into(),
            ..Self::default()
        })
    }

    /// The events of this kind, under their own identities.
    pub(crate) fn events<E: Event>(&self) -> Vec<E> {
        let messages = self.messages.lock().unwrap();
        let of_kind = messages.iter().filter(|(name, _, _)| name == E::NAME);
        let events = of_kind.map(|(_, id, body)| {
            let event: E = serde_json::from_slice(body).unwrap();
            assert_eq!(*id, event.id());
            event
        });
        events.collect()
    }
}

impl Broker for Told {
    fn publish<'a>(
        &'a self,
        name: &'a str,
        id: &'a str,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<(), PublishError>> {
        let less = |times: usize| times.checked_sub(1);
        let is_away = self.refuses.fetch_update(Relaxed, Relaxed, less).is_ok();
        let outcome = if is_away {
            Err(PublishError::Refused)
        } else {
            let mut messages = self.messages.lock().unwrap();
            messages.push((name.to_owned(), id.to_owned(), body));
            Ok(())
        };
        std::future::ready(outcome).boxed()
    }
}

/// A vector store that answers deletions with this, and what it was asked to forget.
#[derive(Clone)]
pub(crate) struct Store {
    answer: Result<(), Status>,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    /// How many documents more it is away for.
    pub(crate) away_for: Arc<AtomicUsize>,
    /// The documents that can be found: what they are called.
    pub(crate) held: Arc<Mutex<HashMap<String, String>>>,
}

impl Store {
    /// Starts it and lets the pipeline use it.
    pub(crate) fn start(pipeline: &mut Pipeline, answer: Result<(), Status>) -> Self {
        let store = Self {
            answer,
            asked: Arc::default(),
            away_for: Arc::default(),
            held: Arc::default(),
        };
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let server = Server::builder().add_service(RagServer::new(store.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        pipeline.rag = rag(format!("http://{address}").parse().unwrap());
        store
    }
}

#[tonic::async_trait]
impl Rag for Store {
    async fn delete_document(
        &self,
        request: Request<DeleteDocumentRequest>,
    ) -> Result<Response<DeleteDocumentResponse>, Status> {
        let id = request.into_inner().document_id;
        self.asked.lock().unwrap().push(id.clone());
        self.answer.clone()?;
        self.held.lock().unwrap().remove(&id);
        Ok(Response::new(DeleteDocumentResponse {}))
    }

    async fn replace_document(
        &self,
        request: Request<ReplaceDocumentRequest>,
    ) -> Result<Response<ReplaceDocumentResponse>, Status> {
        let less = |times: usize| times.checked_sub(1);
        if self.away_for.fetch_update(Relaxed, Relaxed, less).is_ok() {
            return Err(Status::unavailable("away"));
        }
        let document = request.into_inner();
        let chunks = u32::try_from(document.chunks.len()).unwrap();
        let mut held = self.held.lock().unwrap();
        held.insert(document.document_id, document.document_name);
        Ok(Response::new(ReplaceDocumentResponse { chunks }))
    }

    async fn search(&self, _: Request<SearchRequest>) -> Result<Response<SearchResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}
