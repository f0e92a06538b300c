//! A reverse proxy between the operator and the API server that fails as a test tells it to.

mod fault;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use tokio::sync::watch;

pub use self::fault::{Fault, Kill};

/// The server behind the proxy.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it listens, without a slash at the end.
    pub url: String,
    /// The certificates of its authorities, DER.
    pub authorities: Vec<Vec<u8>>,
    /// What the proxy proves itself with, whatever a request brings.
    pub token: String,
}

/// The proxy. It ends with the test's runtime.
#[derive(Clone, Debug)]
pub struct Proxy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstream: reqwest::Client,
    server: String,
    token: HeaderValue,
    fault: watch::Sender<Option<Fault>>,
    failed: watch::Sender<usize>,
    seen: AtomicUsize,
    watches: AtomicUsize,
    writes: Mutex<Vec<String>>,
    /// By path, a digest of what was passed on there last.
    last: Mutex<HashMap<String, u64>>,
    address: SocketAddr,
}

/// A request with all of its body.
struct Sent {
    parts: Parts,
    body: Bytes,
}

impl Sent {
    fn is_write(&self) -> bool {
        self.parts.method != Method::GET
    }

    fn watches(&self) -> bool {
        let query = self.parts.uri.query();
        query.is_some_and(|query| query.contains("watch=true"))
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.parts.method.as_str().hash(&mut hasher);
        self.body.hash(&mut hasher);
        hasher.finish()
    }
}

impl Proxy {
    /// Starts in front of a server, on the calling test's runtime.
    ///
    /// # Errors
    /// When the authorities or the token of the server cannot be used, or the listener cannot.
    pub fn start(listener: TcpListener, upstream: Upstream) -> io::Result<Self> {
        let Upstream {
            url,
            authorities,
            token,
        } = upstream;
        let authorities: Result<Vec<_>, _> = authorities
            .iter()
            .map(|authority| reqwest::Certificate::from_der(authority))
            .collect();
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only(authorities.map_err(io::Error::other)?)
            .build();
        listener.set_nonblocking(true)?;
        let proxy = Self(Arc::new(Inner {
            upstream: client.map_err(io::Error::other)?,
            server: url,
            token: HeaderValue::from_str(&format!("Bearer {token}")).map_err(io::Error::other)?,
            fault: watch::Sender::new(None),
            failed: watch::Sender::new(0),
            seen: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
            writes: Mutex::default(),
            last: Mutex::default(),
            address: listener.local_addr()?,
        }));
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let router = Router::new().fallback(answer).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(proxy)
    }

    /// Where it listens, without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// From now on this goes wrong, or nothing.
    pub fn set(&self, fault: Option<Fault>) {
        self.0.failed.send_replace(0);
        self.0.seen.store(0, Ordering::SeqCst);
        self.0.fault.send_replace(fault);
    }

    /// Requests and watches that met the fault since it was set.
    #[must_use]
    pub fn failed(&self) -> usize {
        *self.0.failed.borrow()
    }

    /// Waits until something meets the fault that is set.
    pub async fn met(&self) {
        let mut failed = self.0.failed.subscribe();
        // The sender is in here as well, so it is not gone.
        let _ = failed.wait_for(|failed| *failed > 0).await;
    }

    /// Watches that were begun so far.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.0.watches.load(Ordering::SeqCst)
    }

    /// Method and path of all that would have changed something so far.
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        let writes = self.0.writes.lock();
        writes.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self) {
        self.0.failed.send_modify(|failed| *failed += 1);
    }

    fn note(&self, sent: &Sent) {
        let path = sent.parts.uri.path();
        let mut writes = self.0.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.push(format!("{} {path}", sent.parts.method));
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(path.to_owned(), sent.digest());
    }

    async fn forward(&self, sent: Sent) -> Response {
        if sent.is_write() {
            self.note(&sent);
        }
        let watches = sent.watches();
        let Sent { parts, body } = sent;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = parts.headers.clone();
        headers.remove(header::HOST);
        // Who may pass is the proxy's to say; the server knows one token for the operator.
        headers.insert(header::AUTHORIZATION, self.0.token.clone());
        let answer = self
            .0
            .upstream
            .request(parts.method.clone(), format!("{}{path}", self.0.server))
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

    /// Passes a watch on until it ends, nobody listens or it is cut.
    async fn pass_on(
        self,
        path: String,
        answer: reqwest::Response,
        mut to: mpsc::Sender<io::Result<Bytes>>,
    ) {
        let mut chunks = answer.bytes_stream();
        loop {
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk.map(|chunk| chunk.map_err(io::Error::other)),
                ends = self.watch_fails(&path) => {
                    self.fail();
                    if !ends {
                        std::future::pending::<()>().await;
                    }
                    Some(Err(io::Error::other("cut")))
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

async fn answer(State(proxy): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    match proxy.meet(Sent { parts, body }).await {
        ControlFlow::Continue(sent) => proxy.forward(sent).await,
        ControlFlow::Break(answer) => answer,
    }
}
