//! A reverse proxy between the operator and the API server that fails as a test tells it to.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::sync::watch;

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
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
pub struct Kill {
    /// At which write, from 1.
    pub write: usize,
    /// Whether this write reaches the server; its answer never comes back.
    pub stored: bool,
    /// Whether only those count that are not what was sent there last: an operator sends an object
    /// again whose status has changed.
    pub only_new: bool,
}

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

    fn refuse(&self, status: StatusCode, retry_after: Option<u32>) -> Response {
        self.fail();
        let reason = status.canonical_reason().unwrap_or_default();
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status.as_u16(),
            "reason": reason.replace(' ', ""), "message": format!("the proxy says: {reason}"),
        });
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        (status, headers, body.to_string()).into_response()
    }

    /// Whether a write is not what was passed on last to the same place.
    fn is_new(&self, sent: &Sent) -> bool {
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(sent.parts.uri.path()) != Some(&sent.digest())
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

    /// Never comes back.
    async fn silence(&self) -> Response {
        self.fail();
        std::future::pending().await
    }

    /// Passes on what a process sends until it is killed.
    async fn until_killed(&self, kill: Kill, sent: Sent) -> Response {
        let counts = sent.is_write() && (!kill.only_new || self.is_new(&sent));
        let seen = if counts {
            self.0.seen.fetch_add(1, Ordering::SeqCst) + 1
        } else {
            self.0.seen.load(Ordering::SeqCst)
        };
        if seen < kill.write {
            return self.forward(sent).await;
        }
        if seen == kill.write && counts {
            if kill.stored {
                self.forward(sent).await;
            }
            return self.silence().await;
        }
        std::future::pending().await
    }

    /// Says of a watch that what it asks for is too old.
    fn expire(&self) -> Response {
        self.fail();
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

/// Whether a path is that of all objects of the kind with this plural.
fn is_of(path: &str, kind: &str) -> bool {
    path.rsplit('/').next() == Some(kind)
}

async fn answer(State(proxy): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let sent = Sent { parts, body };
    let fault = proxy.0.fault.borrow().clone();
    match fault {
        Some(Fault::Conflicts) if sent.parts.method == Method::PATCH => {
            return proxy.refuse(StatusCode::CONFLICT, None);
        }
        Some(Fault::Refused(status, retry_after)) => return proxy.refuse(status, retry_after),
        Some(Fault::CutWatches) if sent.watches() => {
            return proxy.refuse(StatusCode::BAD_GATEWAY, None);
        }
        Some(Fault::Expired(kind)) if sent.watches() && is_of(sent.parts.uri.path(), kind) => {
            return proxy.expire();
        }
        Some(Fault::OnlyToken(token)) => {
            let brought = sent.parts.headers.get(header::AUTHORIZATION);
            if brought.is_none_or(|it| it.as_bytes() != format!("Bearer {token}").as_bytes()) {
                return proxy.refuse(StatusCode::UNAUTHORIZED, None);
            }
        }
        Some(Fault::Delay(time)) => {
            proxy.fail();
            tokio::time::sleep(time).await;
        }
        Some(Fault::Silence { .. }) => return proxy.silence().await,
        Some(Fault::Kill(kill)) => return proxy.until_killed(kill, sent).await,
        Some(Fault::Conflicts | Fault::CutWatches | Fault::Expired(_)) | None => {}
    }
    proxy.forward(sent).await
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn listener() -> TcpListener {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    }

    /// A proxy before a server that is content with everything.
    fn proxy() -> Proxy {
        let server = listener();
        let url = format!("http://{}", server.local_addr().unwrap());
        server.set_nonblocking(true).unwrap();
        let server = tokio::net::TcpListener::from_std(server).unwrap();
        let content = Router::new().fallback(|| async { "{}" });
        tokio::spawn(async move { axum::serve(server, content).await });
        let upstream = Upstream {
            url,
            authorities: Vec::new(),
            token: "t".to_owned(),
        };
        Proxy::start(listener(), upstream).unwrap()
    }

    /// Sends these bodies one after the other until one is not answered.
    async fn send(proxy: &Proxy, bodies: &'static [&'static str]) -> usize {
        let url = format!("{}/object", proxy.url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let sending = async {
            for body in bodies {
                let request = client.patch(&url).body(*body);
                request.send().await.unwrap().error_for_status().unwrap();
            }
        };
        tokio::select! {
            () = sending => {}
            () = proxy.met() => {}
        }
        proxy.writes().len()
    }

    fn kill(write: usize, stored: bool, only_new: bool) -> Option<Fault> {
        Some(Fault::Kill(Kill {
            write,
            stored,
            only_new,
        }))
    }

    #[tokio::test]
    async fn a_kill_comes_at_the_write_that_it_says_or_after_it() {
        for (stored, passed) in [(false, 1), (true, 2)] {
            let proxy = proxy();
            proxy.set(kill(2, stored, false));
            assert_eq!(send(&proxy, &["a", "a", "b"]).await, passed);
            assert_eq!(proxy.failed(), 1);
        }
    }

    #[tokio::test]
    async fn what_is_sent_again_in_the_same_words_does_not_count_as_new() {
        let proxy = proxy();
        assert_eq!(send(&proxy, &["a"]).await, 1);
        proxy.set(kill(2, false, true));
        // The first is old, then two are new, and the second of these is the end.
        assert_eq!(send(&proxy, &["a", "b", "b", "a", "c"]).await, 4);
        assert_eq!(proxy.failed(), 1);
        // What did not come through is still new.
        proxy.set(kill(1, false, true));
        assert_eq!(send(&proxy, &["b", "a"]).await, 5);
        assert_eq!(proxy.failed(), 1);
    }
}
