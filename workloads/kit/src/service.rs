//! The running process as a workload sees it: tasks, servers, readiness, stop.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::serve::{Listener, ListenerExt};
use futures::FutureExt;
use snafu::{ResultExt, Snafu};
#[cfg(feature = "grpc")]
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::readiness::Readiness;
use crate::server::{self, Gauge, Limits};
use crate::tls::{Certificates, TlsListener};
use crate::{request, runtime, tls};

/// The largest gRPC message that LotoAI's services take or send. Give it to every generated
/// server and client: `max_decoding_message_size(MAX_GRPC_MESSAGE_BYTES)`.
#[cfg(feature = "grpc")]
pub const MAX_GRPC_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// How often an idle gRPC connection is asked whether its other end still lives.
#[cfg(feature = "grpc")]
const GRPC_KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(30);

/// Why a server ended.
#[derive(Debug, Snafu)]
pub enum ServeError {
    /// The address could not be bound.
    #[snafu(display("failed to listen on {listen}; set LISTEN to a free address"))]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The TLS library refused the configuration.
    #[snafu(display("failed to set up TLS"))]
    Tls {
        /// The cause.
        source: rustls::Error,
    },
    /// Accepting failed for good.
    #[cfg(feature = "grpc")]
    #[snafu(display("failed to serve gRPC"))]
    Grpc {
        /// The cause.
        source: tonic::transport::Error,
    },
}

/// A task of [`Service::spawn`] that has ended the process.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) name: &'static str,
    pub(crate) reason: String,
}

/// The running process. Cheap to clone; all clones are the same process.
#[derive(Debug, Clone)]
pub struct Service {
    /// Name of the workload, for example `gateway`.
    pub name: &'static str,
    /// Whether requests are welcome.
    pub readiness: Readiness,
    /// Cancelled when the process must stop.
    pub shutdown: CancellationToken,
    /// Tasks that a stop waits for. [`Service::spawn`] is the way to add one.
    pub tasks: TaskTracker,
    /// What the servers show who they are with; without it they speak in clear text.
    pub(crate) certificates: Option<Arc<Certificates>>,
    /// How long clients of the HTTP server may keep a connection for nothing.
    pub limits: Limits,
    failures: mpsc::UnboundedSender<Failure>,
}

impl Service {
    pub(crate) fn new(name: &'static str) -> (Self, mpsc::UnboundedReceiver<Failure>) {
        let (failures, receiver) = mpsc::unbounded_channel();
        let service = Self {
            name,
            readiness: Readiness::default(),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            certificates: None,
            limits: Limits::default(),
            failures,
        };
        (service, receiver)
    }

    /// A process for tests: nothing listens, nobody watches its failures.
    #[must_use]
    pub fn for_tests(name: &'static str) -> Self {
        Self::new(name).0
    }

    /// Runs `future` in the background, in a span of its name. An error or a panic ends the
    /// process with that reason. The future must return soon after `shutdown` is cancelled: a
    /// stop waits for it, within `DRAIN_SECONDS`.
    pub fn spawn<F, E>(&self, name: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: StdError + Send + 'static,
    {
        let failures = self.failures.clone();
        let work = async move {
            let reason = match AssertUnwindSafe(future).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => runtime::chain(&error),
                Err(_) => "it panicked; the line before says where".to_owned(),
            };
            tracing::error!(task = name, reason, "task failed");
            // Nobody listens any more when the process is already ending.
            drop(failures.send(Failure { name, reason }));
        };
        self.tasks
            .spawn(work.instrument(tracing::info_span!("task", task = name)));
    }

    /// Like [`Service::spawn`], for work that cannot fail.
    pub fn keep_up<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, work.map(Ok::<_, Infallible>));
    }

    /// Serves `router` on `listen` until a stop, then lets open requests finish and answers who still
    /// comes meanwhile. Speaks TLS when `TLS_CERT_FILE` and `TLS_KEY_FILE` are set. Ends connections
    /// that keep nobody busy, by `limits`. Adds request ids (`x-request-id`), one span and
    /// one log line per request (method and path, never query or body), the metric
    /// `lotoai_http_request_seconds`, and turns a panic into a 500. Registers the gate `http`.
    ///
    /// # Errors
    /// The address cannot be bound, or TLS cannot be set up.
    pub async fn serve_http(&self, listen: SocketAddr, router: Router) -> Result<(), ServeError> {
        let listener = TcpListener::bind(listen)
            .await
            .context(BindSnafu { listen })?;
        self.serve_http_on(listener, router).await
    }

    /// Like [`Service::serve_http`], on a bound listener.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub async fn serve_http_on(
        &self,
        listener: TcpListener,
        router: Router,
    ) -> Result<(), ServeError> {
        match &self.certificates {
            Some(certificates) => {
                let gauge = Arc::<Gauge>::default();
                let listener = TlsListener::new(listener, certificates, Arc::clone(&gauge))
                    .context(TlsSnafu)?;
                self.serve_http_from(listener, gauge, router).await;
            }
            None => {
                let listener = listener.tap_io(|stream| tls::no_delay(stream));
                self.serve_http_from(listener, Arc::default(), router).await;
            }
        }
        Ok(())
    }

    async fn serve_http_from<L>(&self, listener: L, gauge: Arc<Gauge>, router: Router)
    where
        L: Listener,
        L::Addr: std::fmt::Debug,
    {
        self.readiness.register("http").ready();
        let router = request::instrument(router);
        let stop = self.shutdown.clone();
        server::serve(listener, gauge, router, self.limits, stop).await;
    }

    /// Serves gRPC `routes` and the standard health service on `listen` until a stop, then serves who
    /// has connected by then and lets open calls finish. Adds what [`Service::serve_http`] adds.
    /// Registers the gate `grpc`.
    ///
    /// # Errors
    /// The address cannot be bound, TLS cannot be set up, or accepting fails.
    #[cfg(feature = "grpc")]
    pub async fn serve_grpc(
        &self,
        listen: SocketAddr,
        routes: tonic::service::Routes,
    ) -> Result<(), ServeError> {
        let listener = TcpListener::bind(listen)
            .await
            .context(BindSnafu { listen })?;
        self.serve_grpc_on(listener, routes).await
    }

    /// Like [`Service::serve_grpc`], on a bound listener.
    ///
    /// # Errors
    /// TLS cannot be set up, or accepting fails.
    #[cfg(feature = "grpc")]
    pub async fn serve_grpc_on(
        &self,
        listener: TcpListener,
        routes: tonic::service::Routes,
    ) -> Result<(), ServeError> {
        use tonic::transport::server::TcpIncoming;

        match &self.certificates {
            Some(certificates) => {
                let gauge = Arc::<Gauge>::default();
                let listener = TlsListener::new(listener, certificates, Arc::clone(&gauge))
                    .context(TlsSnafu)?;
                let incoming = listener.into_stream();
                self.serve_grpc_from(incoming, Some(gauge), routes).await
            }
            None => {
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                self.serve_grpc_from(incoming, None, routes).await
            }
        }
    }

    /// Of whom `gauge` counts all are let in before the end of `incoming`.
    #[cfg(feature = "grpc")]
    async fn serve_grpc_from<I, S>(
        &self,
        incoming: I,
        gauge: Option<Arc<Gauge>>,
        routes: tonic::service::Routes,
    ) -> Result<(), ServeError>
    where
        I: futures::Stream<Item = std::io::Result<S>>,
        S: AsyncRead + AsyncWrite + tonic::transport::server::Connected + Unpin + Send + 'static,
    {
        let (health, health_service) = tonic_health::server::health_reporter();
        let (shutdown, limits) = (self.shutdown.clone(), self.limits);
        let stop = async move {
            shutdown.cancelled().await;
            health
                .set_service_status("", tonic_health::ServingStatus::NotServing)
                .await;
            // The server drops whoever is not in when this ends.
            if let Some(gauge) = gauge {
                let all_are_in = server::quiet(&shutdown, &gauge, limits.quiet);
                if tokio::time::timeout(limits.answers, all_are_in)
                    .await
                    .is_err()
                {
                    tracing::warn!("callers still shake hands and are dropped: the time is over");
                }
            }
        };
        let router = request::instrument(routes.add_service(health_service).into_axum_router());
        self.readiness.register("grpc").ready();
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(GRPC_KEEPALIVE))
            .add_routes(router.into())
            .serve_with_incoming_shutdown(incoming, stop)
            .await
            .context(GrpcSnafu)
    }
}

#[cfg(test)]
mod tests;
