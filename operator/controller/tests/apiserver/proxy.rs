//! A reverse proxy between the operator and the API server that fails as a test tells it to.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use kube::Client;
use kube::config::{AuthInfo, Config};
use lotoai_operator::client::client;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::server::{self, ApiServer, OPERATOR};
use crate::world::{Answering, World, context};

/// A platform whose operator reaches the API server through a proxy, and the file with its token.
pub(crate) async fn proxied(namespace: &str) -> Option<(World, Proxy, PathBuf)> {
    proxied_with(namespace, &json!({ "url": "https://lotoai.localhost" })).await
}

/// The same with a resource of this spec.
pub(crate) async fn proxied_with(namespace: &str, spec: &Value) -> Option<(World, Proxy, PathBuf)> {
    let world = World::new(namespace, spec, Answering).await?;
    let server = server::shared()?;
    let token = server.file(&format!("{namespace}.token"), OPERATOR);
    let proxy = Proxy::start(server).await;
    let context = Arc::new(context(&proxy.client(&token), Answering));
    Some((World { context, ..world }, proxy, token))
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Every PATCH meets a newer object.
    Conflicts,
    /// Everything is refused with this status, and a pause to keep where one is given.
    Refused(StatusCode, Option<u32>),
    /// Open watches end in the middle of a line, and no new one comes about.
    CutWatches,
    /// Open watches of the kind with this plural end, and new ones are told that they ask for what
    /// is too old.
    Expired(&'static str),
    /// Only this token is known.
    OnlyToken(String),
    /// Every answer comes this much later.
    Delay(Duration),
    /// No request that comes now is ever answered; with `watches`, nothing more comes of open
    /// watches either.
    Silence {
        /// Whether watches are met.
        watches: bool,
    },
    /// Whoever sends is killed at its n-th write from now on: nothing that comes after that passes.
    Kill(Kill),
}

/// When whoever sends is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// At which write, from 1.
    pub(crate) write: usize,
    /// Whether this write reaches the server; its answer never comes back.
    pub(crate) stored: bool,
}

/// The proxy. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Proxy(Arc<Inner>);

struct Inner {
    upstream: reqwest::Client,
    server: String,
    fault: watch::Sender<Option<Fault>>,
    failed: AtomicUsize,
    seen: AtomicUsize,
    watches: AtomicUsize,
    writes: Mutex<Vec<String>>,
    port: u16,
}

impl Proxy {
    /// Starts in front of a server.
    pub(crate) async fn start(server: &ApiServer) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let authority = reqwest::Certificate::from_der(server.authority()).unwrap();
        let proxy = Self(Arc::new(Inner {
            upstream: reqwest::Client::builder()
                .tls_certs_only([authority])
                .build()
                .unwrap(),
            server: server.url(),
            fault: watch::Sender::new(None),
            failed: AtomicUsize::new(0),
            seen: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
            writes: Mutex::default(),
            port: listener.local_addr().unwrap().port(),
        }));
        let router = Router::new().fallback(answer).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    /// A client as the operator makes it, with the token in this file.
    pub(crate) fn client(&self, token: &Path) -> Client {
        let mut config = Config::new(format!("http://127.0.0.1:{}", self.0.port).parse().unwrap());
        config.auth_info = AuthInfo {
            token_file: Some(token.to_str().unwrap().to_owned()),
            ..AuthInfo::default()
        };
        client(config).unwrap()
    }

    /// From now on this goes wrong, or nothing.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        self.0.failed.store(0, Ordering::SeqCst);
        self.0.seen.store(0, Ordering::SeqCst);
        self.0.fault.send_replace(fault);
    }

    /// Requests and watches that met the fault since it was set.
    pub(crate) fn failed(&self) -> usize {
        self.0.failed.load(Ordering::SeqCst)
    }

    /// Watches that were begun so far.
    pub(crate) fn watches(&self) -> usize {
        self.0.watches.load(Ordering::SeqCst)
    }

    /// Method and path of all that would have changed something so far.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.0.writes.lock().unwrap().clone()
    }

    fn refuse(&self, status: StatusCode, retry_after: Option<u32>) -> Response {
        self.0.failed.fetch_add(1, Ordering::SeqCst);
        let reason = status.canonical_reason().unwrap_or_default();
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status.as_u16(),
            "reason": reason.replace(' ', ""), "message": format!("the proxy says: {reason}"),
        });
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        (status, headers, body.to_string()).into_response()
    }

    async fn forward(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().unwrap().as_str();
        if is_write(&parts.method) {
            let line = format!("{} {}", parts.method, parts.uri.path());
            self.0.writes.lock().unwrap().push(line);
        }
        let watches = parts
            .uri
            .query()
            .is_some_and(|query| query.contains("watch=true"));
        let mut headers = parts.headers.clone();
        headers.remove(header::HOST);
        // Who may pass is the proxy's to say; the server knows one token for the operator.
        let token = format!("Bearer {OPERATOR}").parse().unwrap();
        headers.insert(header::AUTHORIZATION, token);
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let answer = self
            .0
            .upstream
            .request(parts.method, format!("{}{path}", self.0.server))
            .headers(headers)
            .body(body)
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        };
        let status = answer.status();
        let mut headers = answer.headers().clone();
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
        let body = if watches {
            self.0.watches.fetch_add(1, Ordering::SeqCst);
            let (sender, receiver) = mpsc::channel(1);
            let path = parts.uri.path().to_owned();
            tokio::spawn(self.clone().pass_on(path, answer, sender));
            Body::from_stream(receiver)
        } else {
            Body::from_stream(answer.bytes_stream())
        };
        (status, headers, body).into_response()
    }

    /// Never comes back.
    async fn silence(&self) -> Response {
        self.0.failed.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }

    /// Passes on what a process sends until it is killed.
    async fn until_killed(&self, kill: Kill, request: Request) -> Response {
        let seen = if is_write(request.method()) {
            self.0.seen.fetch_add(1, Ordering::SeqCst) + 1
        } else {
            self.0.seen.load(Ordering::SeqCst)
        };
        if seen < kill.write {
            return self.forward(request).await;
        }
        if seen == kill.write && is_write(request.method()) {
            if kill.stored {
                self.forward(request).await;
            }
            return self.silence().await;
        }
        std::future::pending().await
    }

    /// Says of a watch that what it asks for is too old.
    fn expire(&self) -> Response {
        self.0.failed.fetch_add(1, Ordering::SeqCst);
        let event = json!({ "type": "ERROR", "object": {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
            "reason": "Expired", "message": "too old resource version",
        } });
        let kind = [(header::CONTENT_TYPE, "application/json")];
        (kind, format!("{event}\n")).into_response()
    }

    /// Waits for a fault that meets an open watch at this path. Says whether it ends it.
    async fn watch_fails(&self, path: &str) -> bool {
        let mut fault = self.0.fault.subscribe();
        let met = fault.wait_for(|fault| match fault {
            Some(Fault::CutWatches | Fault::Silence { watches: true }) => true,
            Some(Fault::Expired(kind)) => is_of(path, kind),
            _ => false,
        });
        met.await
            .is_ok_and(|fault| !matches!(*fault, Some(Fault::Silence { .. })))
    }

    /// Passes a watch on until it ends, nobody listens or it is cut.
    async fn pass_on(
        self,
        path: String,
        answer: reqwest::Response,
        mut to: mpsc::Sender<std::io::Result<Bytes>>,
    ) {
        let mut chunks = answer.bytes_stream();
        loop {
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk.map(|chunk| chunk.map_err(std::io::Error::other)),
                ends = self.watch_fails(&path) => {
                    self.0.failed.fetch_add(1, Ordering::SeqCst);
                    if !ends {
                        std::future::pending::<()>().await;
                    }
                    Some(Err(std::io::Error::other("cut")))
                }
            };
            let Some(chunk) = chunk else { return };
            let last = chunk.is_err();
            if to.send(chunk).await.is_err() || last {
                return;
            }
        }
    }
}

fn is_write(method: &Method) -> bool {
    method != Method::GET
}

/// Whether a path is that of all objects of the kind with this plural.
fn is_of(path: &str, kind: &str) -> bool {
    path.rsplit('/').next() == Some(kind)
}

async fn answer(State(proxy): State<Proxy>, request: Request) -> Response {
    let fault = proxy.0.fault.borrow().clone();
    let watches = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch=true"));
    match fault {
        Some(Fault::Conflicts) if request.method() == Method::PATCH => {
            return proxy.refuse(StatusCode::CONFLICT, None);
        }
        Some(Fault::Refused(status, retry_after)) => return proxy.refuse(status, retry_after),
        Some(Fault::CutWatches) if watches => {
            return proxy.refuse(StatusCode::BAD_GATEWAY, None);
        }
        Some(Fault::Expired(kind)) if watches && is_of(request.uri().path(), kind) => {
            return proxy.expire();
        }
        Some(Fault::OnlyToken(token)) => {
            let sent = request.headers().get(header::AUTHORIZATION);
            if sent.is_none_or(|sent| sent.as_bytes() != format!("Bearer {token}").as_bytes()) {
                return proxy.refuse(StatusCode::UNAUTHORIZED, None);
            }
        }
        Some(Fault::Delay(time)) => {
            proxy.0.failed.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(time).await;
        }
        Some(Fault::Silence { .. }) => return proxy.silence().await,
        Some(Fault::Kill(kill)) => return proxy.until_killed(kill, request).await,
        Some(Fault::Conflicts | Fault::CutWatches | Fault::Expired(_)) | None => {}
    }
    proxy.forward(request).await
}
