//! A server with Qdrant's own API, as far as we use it, that fails on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use super::engine::Engine;
use crate::config::QdrantArgs;
use crate::store::qdrant::{Limits, Qdrant};

pub(crate) const KEY: &str = "key-of-rag-server";

/// How a call goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is refused with this code, and nothing is done.
    Refused(Code),
    /// It is done, and the answer is lost on the way.
    Lost,
    /// It is never answered.
    Silence,
    /// The answer is larger than any may be.
    Huge,
}

#[derive(Debug, Default)]
struct State {
    engine: Engine,
    /// What goes wrong next, by method.
    faults: VecDeque<(&'static str, Fault)>,
    calls: Vec<&'static str>,
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<State>>);

pub(crate) struct Server {
    pub(crate) url: url::Url,
    state: Shared,
    _stop: DropGuard,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::serve(None).await
    }

    pub(crate) async fn start_tls(identity: Identity) -> Self {
        // As every program of ours does first; another test may have done so.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self::serve(Some(identity)).await
    }

    async fn serve(identity: Option<Identity>) -> Self {
        let state = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = tonic::transport::Server::builder();
        let scheme = if let Some(identity) = identity {
            let tls = ServerTlsConfig::new().identity(identity);
            server = server.tls_config(tls).unwrap();
            "https"
        } else {
            "http"
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let router = server.add_routes(Routes::from(routes(&state)));
        tokio::spawn(
            router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped),
        );
        Self {
            url: format!("{scheme}://localhost:{port}").parse().unwrap(),
            state,
            _stop: stop.drop_guard(),
        }
    }

    /// A client with the right key, that gives up soon.
    pub(crate) fn client(&self) -> Qdrant {
        self.client_with(&args())
    }

    pub(crate) fn client_with(&self, args: &QdrantArgs) -> Qdrant {
        let mut client = Qdrant::new(&self.url, args).unwrap();
        client.limits = Limits {
            read: Duration::from_secs(2),
            write: Duration::from_secs(2),
            pauses: [Duration::from_millis(1); 3],
        };
        client
    }

    /// The next call of `method` goes wrong.
    pub(crate) fn fail(&self, method: &'static str, fault: Fault) {
        self.state.lock().faults.push_back((method, fault));
    }

    /// How often `method` was called.
    pub(crate) fn calls(&self, method: &str) -> usize {
        let state = self.state.lock();
        state.calls.iter().filter(|call| **call == method).count()
    }

    pub(crate) fn with_engine<T>(&self, work: impl FnOnce(&mut Engine) -> T) -> T {
        work(&mut self.state.lock().engine)
    }
}

/// What the tests' clients are told.
pub(crate) fn args() -> QdrantArgs {
    QdrantArgs {
        qdrant_url: None,
        qdrant_api_key: Some(SecretString::from(KEY)),
        qdrant_collection: "passages".to_owned(),
        qdrant_replication_factor: 3,
        qdrant_shards: 2,
        qdrant_ca_file: None,
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// One call: the key, what is to go wrong, and the work.
    async fn call<I, O>(
        &self,
        method: &'static str,
        request: Request<I>,
        work: fn(&mut Engine, I) -> Result<O, Status>,
    ) -> Result<Response<O>, Status> {
        if request
            .metadata()
            .get("api-key")
            .is_none_or(|key| key != KEY)
        {
            return Err(Status::unauthenticated("Invalid API key or JWT"));
        }
        let fault = {
            let mut state = self.lock();
            state.calls.push(method);
            let mut faults = state.faults.iter();
            let place = faults.position(|(of, _)| *of == method);
            place.and_then(|place| state.faults.remove(place))
        };
        match fault.map(|(_, fault)| fault) {
            Some(Fault::Refused(code)) => return Err(Status::new(code, "as the test wants")),
            Some(Fault::Silence) => std::future::pending::<()>().await,
            Some(Fault::Lost) => {
                work(&mut self.lock().engine, request.into_inner())?;
                return Err(Status::unavailable("as the test wants"));
            }
            Some(Fault::Huge) => self.lock().engine.inflate(),
            None => {}
        }
        work(&mut self.lock().engine, request.into_inner()).map(Response::new)
    }
}

/// Adds one method of a service to a router.
fn method<I, O>(
    router: Router,
    state: &Shared,
    service: &'static str,
    name: &'static str,
    work: fn(&mut Engine, I) -> Result<O, Status>,
) -> Router
where
    I: prost::Message + Default + Send + 'static,
    O: prost::Message + Default + Send + 'static,
{
    let state = state.clone();
    let handler = post(move |request: axum::extract::Request| {
        let state = state.clone();
        async move {
            let call = tower::service_fn(move |request: Request<I>| {
                let state = state.clone();
                async move { state.call(name, request, work).await }
            });
            // As Qdrant's own.
            let grpc = tonic::server::Grpc::new(ProstCodec::<O, I>::default());
            let mut grpc = grpc.max_decoding_message_size(usize::MAX);
            grpc.unary(call, request).await
        }
    });
    router.route(&format!("/qdrant.{service}/{name}"), handler)
}

fn routes(state: &Shared) -> Router {
    let router = Router::new();
    let router = method(router, state, "Collections", "Create", Engine::create);
    let router = method(router, state, "Collections", "Get", Engine::get);
    let router = method(router, state, "Points", "CreateFieldIndex", Engine::index);
    let router = method(router, state, "Points", "Upsert", Engine::upsert);
    let router = method(router, state, "Points", "Delete", Engine::delete);
    let router = method(router, state, "Points", "Count", Engine::count);
    method(router, state, "Points", "Query", Engine::query)
}
