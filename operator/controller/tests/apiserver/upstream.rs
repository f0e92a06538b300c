//! What a test puts behind Traefik: a server that says its name, or which headers it got, counts who
//! asks, and streams an answer whose end waits for the test.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use lotoai_testing::Issued;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The server. It ends with the test's runtime.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    state: Arc<Asked>,
}

struct Asked {
    name: &'static str,
    count: AtomicUsize,
    /// The first piece of the stream was handed to the connection.
    begun: Notify,
    /// The second one may follow.
    go_on: Notify,
}

impl Upstream {
    /// Serves HTTPS on loopback.
    pub(crate) async fn start(name: &'static str, issued: &Issued) -> Self {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let certificate = CertificateDer::from(issued.der.clone());
        let key = PrivatePkcs8KeyDer::from(issued.key_der.clone());
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let state = Arc::new(Asked {
            name,
            count: AtomicUsize::new(0),
            begun: Notify::new(),
            go_on: Notify::new(),
        });
        let router = Router::new()
            .route("/stream", get(stream))
            .route("/headers", get(names_of_headers))
            .fallback(say_name)
            .with_state(Arc::clone(&state));
        let listener = Tls {
            tcp,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, state }
    }

    /// Requests that have come through so far.
    pub(crate) fn asked(&self) -> usize {
        self.state.count.load(Ordering::SeqCst)
    }

    /// Waits until the first piece of a stream has been sent.
    pub(crate) async fn begun(&self) {
        self.state.begun.notified().await;
    }

    /// Lets the second piece follow.
    pub(crate) fn go_on(&self) {
        self.state.go_on.notify_one();
    }
}

async fn say_name(State(asked): State<Arc<Asked>>) -> &'static str {
    asked.count.fetch_add(1, Ordering::SeqCst);
    asked.name
}

/// One line for each header.
async fn names_of_headers(headers: HeaderMap) -> String {
    let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.join("\n")
}

/// Two events, of which the second waits until the test has the first.
async fn stream(State(asked): State<Arc<Asked>>) -> Response {
    asked.count.fetch_add(1, Ordering::SeqCst);
    let pieces = futures::stream::unfold((0, asked), |(number, asked)| async move {
        match number {
            0 => {}
            1 => {
                asked.begun.notify_one();
                asked.go_on.notified().await;
            }
            _ => return None,
        }
        let piece = Bytes::from(format!("data: {number}\n\n"));
        Some((Ok::<_, Infallible>(piece), (number + 1, asked)))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    (headers, Body::from_stream(pieces)).into_response()
}

/// Connections with which the handshake is done.
struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.tcp).await;
            // Who does not like the certificate hangs up.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
