//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use url::Url;

use crate::admission::Admission;
use crate::budget::current::Budgets;
use crate::config::LimitArgs;
use crate::failure::Failure;
use crate::identity::key_ring::KeyRing;
use crate::identity::login::Login;
use crate::identity::probe::ProbeToken;
use crate::identity::session::Sessions;
use crate::identity::token::TokenVerifier;
use crate::identity::watch::Watch;
use crate::model_server::ModelServer;
use crate::objects::Objects;
use crate::openapi::Docs;
use crate::orchestrator::Orchestrator;
use crate::outbox::Wake;
use crate::store::Store;
use crate::streams::Streams;
use crate::uploads::Uploads;

/// What the handlers share.
pub struct AppState {
    /// PostgreSQL.
    pub store: Store,
    /// The object store.
    pub objects: Objects,
    /// Who answers.
    pub orchestrator: Orchestrator,
    /// Who turns texts into vectors.
    pub model_server: ModelServer,
    /// Checks access tokens.
    pub verifier: Arc<TokenVerifier>,
    /// Knows the operator, where the identity provider does not.
    pub probe_token: ProbeToken,
    /// Signs browsers in.
    pub login: Arc<Login>,
    /// Browser sessions.
    pub sessions: Sessions,
    /// API keys.
    pub key_ring: KeyRing,
    /// Open answers, and what lets them go on.
    pub watch: Watch,
    /// Streamed answers that a client may come back to.
    pub streams: Streams,
    /// Documents that arrive in pieces.
    pub uploads: Uploads,
    /// How many requests are taken on at a time.
    pub admission: Admission,
    /// Limits.
    pub limits: LimitArgs,
    /// Budgets and prices.
    pub budgets: Budgets,
    /// What the API is.
    pub docs: Docs,
    /// Where browsers reach the platform.
    pub public_url: Url,
    /// Wakes the relay of events.
    pub events: Wake,
    /// Wakes the deletion of discarded objects.
    pub discarded: Wake,
    /// Wakes the folding of spendings.
    pub spendings: Wake,
    /// How long the end of a whole answer is held back for a database that is away.
    pub storing: Duration,
    /// Cancelled when the process stops so soon that answers must end.
    pub ending: CancellationToken,
    /// Work that outlives its request.
    pub tasks: tokio_util::task::TaskTracker,
}

impl AppState {
    /// Does work to its end among the [tasks](Self::tasks).
    ///
    /// # Errors
    /// Those of [`see_through`].
    pub async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        see_through(&self.tasks, work).await
    }
}

/// Does work to its end, though who waits for it may leave; what it gives is dropped then.
///
/// # Errors
/// Those of the work, and 500 when it panics.
pub async fn see_through<T: Send + 'static>(
    tasks: &tokio_util::task::TaskTracker,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let (give, given) = oneshot::channel();
    // What nobody takes is dropped within the task, so that a stop waits for what comes of that.
    let work = async move { drop(give.send(work.await)) };
    tasks.spawn(work.in_current_span());
    given.await.unwrap_or_else(|_| Err(Failure::internal()))
}
