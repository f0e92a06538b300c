//! The front door: sign-in, public APIs, conversations, documents.

pub mod admission;
pub mod budget;
pub mod config;
pub mod domain;
pub mod drain;
pub mod error;
pub mod failure;
pub mod idempotency;
pub mod identity;
pub mod objects;
pub mod orchestrator;
pub mod outbox;
pub mod policy;
pub mod routes;
pub mod state;
pub mod status_consumer;
pub mod store;
pub mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use lotoai_kit::rabbitmq::Rabbitmq;
use lotoai_kit::{HasCommon as _, Readiness, Service};
use snafu::ResultExt as _;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use error::Error;

use crate::admission::Admission;
use crate::budget::ledger;
use crate::budget::table::Table;
use crate::error::{
    BudgetsSnafu, LoginSnafu, MigrateSnafu, ObjectsSnafu, OrchestratorSnafu, PostgresSnafu,
    ProviderSnafu, RabbitmqSnafu, ServeSnafu,
};
use crate::identity::discovery::Discovery;
use crate::identity::jwks::Jwks;
use crate::identity::key_ring::KeyRing;
use crate::identity::login::Login;
use crate::identity::probe::ProbeToken;
use crate::identity::provider::ProviderHttp;
use crate::identity::session::{SessionParts, Sessions};
use crate::identity::token::TokenVerifier;
use crate::identity::watch::Watch;
use crate::objects::Objects;
use crate::orchestrator::Orchestrator;
use crate::outbox::Wake;
use crate::routes::web::WebClient;
use crate::state::AppState;
use crate::store::Store;
use crate::streams::Streams;

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// When it cannot start, or its server ends.
pub async fn run(config: Config, service: Service) -> Result<(), Error> {
    let started = service.readiness.register("gateway");
    let mut tolerant = service.clone();
    // The gateway answers without its database or broker, if only to say which of them is away:
    // their gates must not take it out of its Service once it has started.
    tolerant.readiness = Readiness::default();

    let pool = config
        .postgres
        .pool(&tolerant)
        .await
        .map_err(Into::into)
        .context(PostgresSnafu)?;
    lotoai_kit::postgres::migrate(&pool, &store::MIGRATIONS)
        .await
        .map_err(Into::into)
        .context(MigrateSnafu)?;
    tracing::info!(dependency = "postgres", "ready");
    let rabbitmq = config
        .rabbitmq
        .connect(&tolerant)
        .await
        .map_err(Into::into)
        .context(RabbitmqSnafu)?;

    let state = assemble(&config, &service, Store::new(pool))?;

    keep_keys_fresh(&service, Arc::clone(state.verifier.jwks()));
    work_in_background(&service, &state, rabbitmq);
    let web = WebClient::new(&config.web_root);
    if !config.web_root.join("index.html").is_file() {
        tracing::warn!(root = %config.web_root.display(), "there is no web client here");
    }
    started.ready();
    let router = routes::router(&state, &web);
    service
        .serve_http(config.common().http_listen(), router)
        .await
        .map_err(Into::into)
        .context(ServeSnafu)
}

/// Puts together what the handlers share.
fn assemble(config: &Config, service: &Service, store: Store) -> Result<Arc<AppState>, Error> {
    let http = ProviderHttp::new(config.oidc.ca_file()).context(ProviderSnafu)?;
    let discovery = Arc::new(Discovery::new(&config.oidc, http.clone()));
    let jwks = Arc::new(Jwks::new(Arc::clone(&discovery), http.clone()));
    let verifier = Arc::new(TokenVerifier::new(Arc::clone(&jwks), &config.oidc));
    let key = config.session_key.clone();
    let login = Login::new(
        &config.oidc,
        &config.public_url,
        discovery,
        jwks,
        http,
        key.clone(),
    )
    .context(LoginSnafu)?;
    let login = Arc::new(login);
    let watch = Watch::default();
    let sessions = Sessions::new(SessionParts {
        store: store.clone(),
        key,
        login: Arc::clone(&login),
        verifier: Arc::clone(&verifier),
        watch: watch.clone(),
        tasks: service.tasks.clone(),
        limits: config.sessions,
    });
    let key_ring = KeyRing::new(store.clone(), watch.clone(), service.tasks.clone());
    let budgets = Table::load(config.budgets_file.as_deref()).context(BudgetsSnafu)?;
    let bucket = config.s3.open().map_err(Into::into).context(ObjectsSnafu)?;
    let channel = config
        .orchestrator
        .grpc_channel(&config.common.tls)
        .map_err(Into::into)
        .context(OrchestratorSnafu)?;
    Ok(Arc::new(AppState {
        store,
        objects: Objects::new(bucket, service.tasks.clone()),
        orchestrator: Orchestrator::new(channel, &config.limits),
        verifier,
        probe_token: ProbeToken::new(config.probe_token.as_ref()),
        login,
        sessions,
        key_ring,
        watch,
        streams: Streams::default(),
        admission: Admission::new(config.limits.requests_max_concurrent),
        limits: config.limits,
        budgets,
        public_url: config.public_url.clone(),
        events: Wake::default(),
        discarded: Wake::default(),
        spendings: Wake::default(),
        ending: ending(service, config.common().drain()),
        tasks: service.tasks.clone(),
    }))
}

/// Cancelled shortly before a stop runs out of time: what is still being answered then ends with an
/// error that its client can read, and is stored, instead of being cut.
fn ending(service: &Service, drain: Duration) -> CancellationToken {
    const FAREWELL: Duration = Duration::from_secs(5);
    let (ending, stop) = (CancellationToken::new(), service.shutdown.clone());
    let told = ending.clone();
    // Not one of the tasks that a stop waits for: with nothing to answer it is over sooner.
    tokio::spawn(async move {
        stop.cancelled().await;
        tokio::time::sleep(drain.saturating_sub(FAREWELL)).await;
        told.cancel();
    });
    ending
}

/// Nobody can be told from anybody without keys, so the first of them are a condition of being
/// ready. Later the old ones go on working.
fn keep_keys_fresh(service: &Service, jwks: Arc<Jwks>) {
    let gate = service.readiness.register("identity-provider");
    let stop = service.shutdown.clone();
    service.spawn("signing-keys", async move {
        let fetching = jwks.keep_fresh(|outcome| match outcome {
            Ok(()) => gate.ready(),
            Err(error) if jwks.generation() == 0 => gate.not_ready(error),
            Err(error) => tracing::warn!(error, "no fresh signing keys; the old ones stay"),
        });
        tokio::select! {
            () = fetching => {}
            () = stop.cancelled() => {}
        }
        Ok::<_, std::convert::Infallible>(())
    });
}

fn work_in_background(service: &Service, state: &Arc<AppState>, rabbitmq: Rabbitmq) {
    let (store, wake, stop) = (
        state.store.clone(),
        state.events.clone(),
        service.shutdown.clone(),
    );
    let broker = rabbitmq.clone();
    service.spawn("outbox", async move {
        outbox::relay(store, broker, wake, stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
    let (store, wake, stop) = (
        state.store.clone(),
        state.discarded.clone(),
        service.shutdown.clone(),
    );
    let objects = state.objects.clone();
    service.spawn("discarded-objects", async move {
        objects::sweep(store, objects, wake, stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
    let (sessions, stop) = (state.sessions.clone(), service.shutdown.clone());
    service.spawn("sessions", async move {
        sessions.sweep(stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
    let (store, watch) = (state.store.clone(), state.watch.clone());
    let stop = service.shutdown.clone();
    service.spawn("open-answers", async move {
        watch.run(store, stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
    let (store, streams) = (state.store.clone(), state.streams.clone());
    let stop = service.shutdown.clone();
    service.spawn("open-streams", async move {
        streams.keep(store, stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
    let (store, wake, stop) = (
        state.store.clone(),
        state.spendings.clone(),
        service.shutdown.clone(),
    );
    service.spawn("spendings", async move {
        ledger::keep(store, wake, stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
    let (store, stop) = (state.store.clone(), service.shutdown.clone());
    service.spawn("status-consumer", async move {
        rabbitmq
            .consume(
                status_consumer::QUEUE,
                status_consumer::PREFETCH,
                move |delivery| {
                    let (store, stop) = (store.clone(), stop.clone());
                    async move { status_consumer::handle(&store, &stop, delivery).await }
                },
            )
            .await
    });
}
