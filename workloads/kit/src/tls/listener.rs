//! Accepts connections and shakes hands, many at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Certificates, no_delay, provider};
use crate::server::{Coming, Gauge};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at once. More callers wait in the kernel's queue until one is done or too late.
const HANDSHAKES: usize = 512;

/// Shakes hands with what `certificates` holds at that time.
pub(crate) fn acceptor(certificates: &Arc<Certificates>) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(certificates) as _);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A listener whose connections are those with which the handshake is done. A caller that dawdles
/// holds up no other.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    /// Knows of those who shake hands: a server that stops waits for them.
    gauge: Arc<Gauge>,
    shaking: JoinSet<Option<Shaken>>,
}

/// Somebody with whom the handshake is done, and who is coming until that is given.
type Shaken = (TlsStream<TcpStream>, SocketAddr, Coming);

impl TlsListener {
    /// Serves with what `certificates` holds at the time of each handshake.
    pub(crate) fn new(
        tcp: TcpListener,
        certificates: &Arc<Certificates>,
        gauge: Arc<Gauge>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            tcp,
            acceptor: acceptor(certificates)?,
            gauge,
            shaking: JoinSet::new(),
        })
    }

    fn shake(&mut self, stream: TcpStream, peer: SocketAddr) {
        no_delay(&stream);
        let coming = self.gauge.coming();
        let handshake = self.acceptor.accept(stream);
        self.shaking.spawn(async move {
            let reason = match tokio::time::timeout(HANDSHAKE, handshake).await {
                Ok(Ok(stream)) => return Some((stream, peer, coming)),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("it took longer than {} s", HANDSHAKE.as_secs()),
            };
            tracing::info!(%peer, reason, "a TLS handshake failed");
            None
        });
    }

    /// The connections as a stream without end.
    #[cfg(feature = "grpc")]
    pub(crate) fn into_stream(
        self,
    ) -> impl futures::Stream<Item = io::Result<TlsStream<TcpStream>>> {
        futures::stream::unfold(self, |mut listener| async move {
            let (stream, _) = listener.accept().await;
            Some((Ok(stream), listener))
        })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(shaken) = self.shaking.join_next() => {
                    if let Ok(Some((stream, peer, _coming))) = shaken {
                        return (stream, peer);
                    }
                }
                (stream, peer) = Listener::accept(&mut self.tcp),
                    if self.shaking.len() < HANDSHAKES => self.shake(stream, peer),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
