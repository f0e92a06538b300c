//! The admin server: `/healthz`, `/readyz` and `/metrics`.
//!
//! No client needed. It listens on one port that no public Service exposes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use snafu::{ResultExt, Snafu};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// How often old samples are folded into the histograms, so that memory stays bounded when nobody
/// scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Whether the process can do its work: it has reached the cluster and found the LotoAI type.
/// A process that waits for the leader lease is ready too.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says that the process is ready, or not.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether the process is ready.
    #[must_use]
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Why the admin server could not run.
#[derive(Debug, Snafu)]
pub enum Error {
    /// The port is taken or not allowed.
    #[snafu(display("failed to listen on {listen}"))]
    Listen {
        /// The address from `ADMIN_LISTEN`.
        listen: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server stopped by itself.
    #[snafu(display("failed to serve the admin port"))]
    Serve {
        /// What the system said.
        source: std::io::Error,
    },
}

/// The routes, apart from the socket so that tests can call them.
pub fn router(readiness: Readiness, recorded: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(readiness)
        .route("/metrics", get(async move || metrics::render(&recorded)))
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.get() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "waiting for the Kubernetes API and the CustomResourceDefinition lotoais.lotoai.dev\n",
        )
    }
}

/// Serves until `shutdown`.
///
/// # Errors
/// When the address cannot be bound or the listener fails.
pub async fn serve(
    listen: SocketAddr,
    readiness: Readiness,
    recorded: PrometheusHandle,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let listener = TcpListener::bind(listen)
        .await
        .context(ListenSnafu { listen })?;
    let upkeep = {
        let recorded = recorded.clone();
        async move {
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                recorded.run_upkeep();
            }
        }
    };
    let server = axum::serve(listener, router(readiness, recorded))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .into_future();
    tokio::select! {
        served = server => served.context(ServeSnafu),
        () = upkeep => Ok(()),
    }
}
