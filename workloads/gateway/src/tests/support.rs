//! A gateway whose far sides are fakes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use clap::Parser as _;
use futures::StreamExt as _;
use lotoai_kit::Service;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use wiremock::MockServer;

use super::keys::{ISSUER, Signer, realm};
use super::{orchestrator, postgres};
use crate::admission::Times;
use crate::budget::current::Budgets;
use crate::config::Config;
use crate::objects::Objects;
use crate::routes::web::WebClient;
use crate::state::AppState;
use crate::store::Store;
use crate::streams::Streams;

pub(crate) const PUBLIC_URL: &str = "https://ai.example.org";

/// What a test may replace.
pub(crate) struct Parts {
    pub(crate) orchestrator: String,
    pub(crate) pool: PgPool,
    /// `budgets.yaml`.
    pub(crate) budgets: String,
    pub(crate) model_server: String,
    /// How long clients may take.
    pub(crate) times: Times,
    /// How long streams go on that nobody reads.
    pub(crate) grace: Duration,
    /// How long the end of a whole answer is held back for a database that is away.
    pub(crate) storing: Duration,
    /// Where the bytes of documents are.
    pub(crate) objects: Arc<dyn ObjectStore>,
}

impl Default for Parts {
    /// Nothing is reachable.
    fn default() -> Self {
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(200))
            .connect_lazy("postgres://nobody:x@127.0.0.1:1/none")
            .unwrap();
        Self {
            orchestrator: "http://127.0.0.1:1".to_owned(),
            pool,
            budgets: String::new(),
            model_server: "http://127.0.0.1:1".to_owned(),
            times: Times::default(),
            grace: Duration::from_secs(10),
            storing: crate::STORING,
            objects: Arc::new(InMemory::new()),
        }
    }
}

pub(crate) struct Gateway {
    pub(crate) router: Router,
    pub(crate) state: Arc<AppState>,
    /// Address of the orchestrator.
    orchestrator: String,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) realm: MockServer,
    pub(crate) signer: Signer,
    pub(crate) service: Service,
    web_root: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// An answer that is open.
pub(crate) struct Answer(BodyDataStream);

impl Answer {
    async fn next(&mut self) -> Option<String> {
        let part = self.0.next().await?.unwrap();
        Some(String::from_utf8(part.to_vec()).unwrap())
    }

    /// What still comes; it must end within the 2 s that an answer may outlive its session.
    pub(crate) async fn rest(mut self) -> String {
        let reading = async {
            let mut text = String::new();
            while let Some(part) = self.next().await {
                text.push_str(&part);
            }
            text
        };
        tokio::time::timeout(Duration::from_secs(2), reading)
            .await
            .expect("the answer ends within 2 s")
    }

    /// Whether it goes on for as long as another could take to end.
    pub(crate) async fn goes_on(&mut self) -> bool {
        let heartbeat = tokio::time::timeout(Duration::from_secs(2), self.next()).await;
        heartbeat.is_err()
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} is not JSON"))
    }

    /// `code` of either error shape.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        let code = json["error"]["code"].as_str().or(json["code"].as_str());
        code.unwrap_or_else(|| panic!("{self:?} has no code"))
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) fn config(realm: &str, orchestrator: &str) -> Config {
    let realm = format!("{realm}/realms/lotoai");
    Config::try_parse_from([
        "gateway",
        "--postgres-url=postgres://127.0.0.1:1/none",
        "--postgres-username=u",
        "--postgres-password=p",
        "--rabbitmq-url=amqp://127.0.0.1:1/lotoai",
        "--rabbitmq-username=u",
        "--rabbitmq-password=p",
        "--s3-url=http://127.0.0.1:1",
        "--s3-bucket=documents",
        "--s3-username=u",
        "--s3-password=p",
        &format!("--orchestrator-url={orchestrator}"),
        "--orchestrator-token=t",
        "--model-server-url=http://127.0.0.1:1",
        "--model-server-token=m",
        &format!("--oidc-issuer={ISSUER}"),
        &format!("--oidc-internal-url={realm}"),
        "--oidc-audience=lotoai",
        "--oidc-client-id=lotoai-web",
        "--oidc-client-secret=client-secret",
        &format!("--public-url={PUBLIC_URL}"),
        "--session-key=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "--upload-max-bytes=100000",
        "--answer-idle-seconds=20",
    ])
    .unwrap()
}

impl Gateway {
    pub(crate) async fn start(parts: Parts) -> Self {
        let signer = Signer::ec("key-1");
        let realm = realm(&[&signer]).await;
        Self::with_realm(parts, realm, signer)
    }

    /// One with a database of its own, and that. `None`, with the reason printed, when there is no
    /// PostgreSQL here.
    pub(crate) async fn stored(parts: Parts) -> Option<(postgres::Database, Self)> {
        Some(Self::stored_in(postgres::start()?, parts).await)
    }

    async fn stored_in(server: postgres::Database, parts: Parts) -> (postgres::Database, Self) {
        let pool = server.pool();
        let gateway = Self::start(Parts { pool, ..parts }).await;
        (server, gateway)
    }

    /// The same with an orchestrator, and what that saw.
    pub(crate) async fn answering() -> Option<(postgres::Database, Self, Arc<orchestrator::Seen>)> {
        Some(Self::answering_in(postgres::start()?).await)
    }

    /// The same on a database server of its own.
    pub(crate) async fn answering_alone()
    -> Option<(postgres::Database, Self, Arc<orchestrator::Seen>)> {
        Some(Self::answering_in(postgres::start_alone()?).await)
    }

    async fn answering_in(
        server: postgres::Database,
    ) -> (postgres::Database, Self, Arc<orchestrator::Seen>) {
        let (orchestrator, seen) = orchestrator::start().await;
        let parts = Parts {
            orchestrator,
            ..Parts::default()
        };
        let (server, gateway) = Self::stored_in(server, parts).await;
        (server, gateway, seen)
    }

    pub(crate) fn with_realm(parts: Parts, realm: MockServer, signer: Signer) -> Self {
        let config = config(&realm.uri(), &parts.orchestrator);
        Self::with_config(&config, parts, realm, signer)
    }

    pub(crate) fn with_config(
        config: &Config,
        parts: Parts,
        realm: MockServer,
        signer: Signer,
    ) -> Self {
        let service = Service::for_tests("gateway");
        let orchestrator = parts.orchestrator;
        let mut config = config.clone();
        config.model_server.url = parts.model_server.parse().unwrap();
        let state = crate::assemble(&config, &service, Store::new(parts.pool)).unwrap();
        let mut state = Arc::into_inner(state).unwrap();
        if !parts.budgets.is_empty() {
            let table = crate::budget::table::parse(&parts.budgets).unwrap();
            state.budgets = Budgets::new(table);
        }
        state.admission.times = parts.times;
        state.streams = Streams::with_grace(parts.grace);
        state.storing = parts.storing;
        let objects = parts.objects;
        let (tasks, ending) = (service.tasks.clone(), state.ending.clone());
        state.objects = Objects::new(Arc::clone(&objects), tasks, ending);
        let state = Arc::new(state);
        let web_root = tempfile::tempdir().unwrap();
        std::fs::write(web_root.path().join("index.html"), "<title>web</title>").unwrap();
        std::fs::create_dir(web_root.path().join("assets")).unwrap();
        std::fs::write(web_root.path().join("assets/app-1a2b.js"), "x").unwrap();
        let router = crate::routes::router(&state, &WebClient::new(web_root.path()));
        Self {
            router,
            state,
            orchestrator,
            objects,
            realm,
            signer,
            service,
            web_root,
        }
    }

    /// Another replica: the same provider, orchestrator, database and object store. It looks after
    /// its open answers, as a process does.
    pub(crate) async fn replica(&self, server: &postgres::Database) -> Self {
        self.replica_with(server, Arc::clone(&self.objects)).await
    }

    /// The same with another object store.
    pub(crate) async fn replica_with(
        &self,
        server: &postgres::Database,
        objects: Arc<dyn ObjectStore>,
    ) -> Self {
        let parts = Parts {
            orchestrator: self.orchestrator.clone(),
            pool: server.pool(),
            objects,
            ..Parts::default()
        };
        let config = config(&self.realm.uri(), &parts.orchestrator);
        let unused = MockServer::start().await;
        let replica = Self::with_config(&config, parts, unused, self.signer.clone());
        let (sessions, stop) = (&replica.state.sessions, &replica.service.shutdown);
        tokio::spawn(sessions.clone().look_after_answers(stop.clone()));
        replica.look_after_streams();
        replica
    }

    /// Looks after its streams, as a process does.
    pub(crate) fn look_after_streams(&self) {
        let (streams, store) = (self.state.streams.clone(), self.state.store.clone());
        tokio::spawn(streams.keep(store, self.service.shutdown.clone()));
    }

    /// Serves on a port of loopback, as a process does.
    pub(crate) async fn serve(&self) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (service, router) = (self.service.clone(), self.router.clone());
        let server = tokio::spawn(async move {
            service.serve_http_on(listener, router).await.unwrap();
        });
        (address, server)
    }

    /// Begins an answer that never ends by itself, and reads its beginning.
    pub(crate) async fn open(&self, mut request: Request<Body>) -> Answer {
        let question = serde_json::json!({
            "model": "endless", "stream": true, "store": false,
            "messages": [{ "role": "user", "content": "?" }],
        });
        *request.method_mut() = Method::POST;
        *request.uri_mut() = "/v1/chat/completions".parse().unwrap();
        *request.body_mut() = Body::from(question.to_string());
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut answer = Answer(response.into_body().into_data_stream());
        while !answer.next().await.unwrap().contains("begun") {}
        answer
    }

    /// Waits for what requests left behind.
    pub(crate) async fn settle(&self) {
        self.service.tasks.close();
        self.service.tasks.wait().await;
        self.service.tasks.reopen();
        assert!(self.web_root.path().exists());
    }

    /// Waits until no stream is written any more, and for what that left behind.
    pub(crate) async fn settle_run(&self) {
        let written = async {
            while self.state.streams.count() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let written = tokio::time::timeout(Duration::from_secs(20), written).await;
        written.expect("the streams end");
        self.settle().await;
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// The pages of a list. `path` has a query, without a cursor.
    pub(crate) async fn pages(
        &self,
        path: &str,
        subject: &str,
        groups: &[&str],
    ) -> Vec<Vec<Value>> {
        let (mut pages, mut next) = (Vec::new(), path.to_owned());
        loop {
            let request = self.request_in(Method::GET, &next, subject, groups);
            let reply = self.send(request).await;
            assert_eq!(reply.status, StatusCode::OK, "{next}: {reply:?}");
            let page = reply.json();
            pages.push(page["items"].as_array().unwrap().clone());
            let Some(cursor) = page["next_cursor"].as_str() else {
                return pages;
            };
            assert!(pages.len() < 100, "{path} does not end");
            next = format!("{path}&cursor={cursor}");
        }
    }

    /// A request with a good token of `subject`.
    pub(crate) fn request(&self, method: Method, path: &str, subject: &str) -> Request<Body> {
        self.request_in(method, path, subject, &[])
    }

    pub(crate) fn request_in(
        &self,
        method: Method,
        path: &str,
        subject: &str,
        groups: &[&str],
    ) -> Request<Body> {
        let token = self.signer.token(subject, groups);
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap()
    }

    pub(crate) async fn get(&self, path: &str, subject: &str) -> Reply {
        self.send(self.request(Method::GET, path, subject)).await
    }

    pub(crate) async fn chat(&self, subject: &str, body: impl Into<Body>) -> Reply {
        let mut request = self.request(Method::POST, "/v1/chat/completions", subject);
        *request.body_mut() = body.into();
        self.send(request).await
    }
}
