//! Far sides of tests.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

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
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use url::Url;

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
}

impl Store {
    /// Starts it and lets the pipeline use it.
    pub(crate) fn start(pipeline: &mut Pipeline, answer: Result<(), Status>) -> Self {
        let store = Self {
            answer,
            asked: Arc::default(),
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
        self.asked.lock().unwrap().push(id);
        self.answer.clone()?;
        Ok(Response::new(DeleteDocumentResponse {}))
    }

    async fn replace_document(
        &self,
        _: Request<ReplaceDocumentRequest>,
    ) -> Result<Response<ReplaceDocumentResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn search(&self, _: Request<SearchRequest>) -> Result<Response<SearchResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}
