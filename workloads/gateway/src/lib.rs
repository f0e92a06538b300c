//! The front door: sign-in, public APIs, conversations, documents.

pub mod admission;
pub mod budget;
pub mod config;
pub mod domain;
pub mod drain;
pub mod erasure;
pub mod error;
pub mod export;
pub mod failure;
pub mod flag;
pub mod idempotency;
pub mod identity;
pub mod intake;
pub mod model_server;
pub mod objects;
pub mod openapi;
pub mod orchestrator;
pub mod outbox;
pub mod retention;
pub mod routes;
pub mod state;
pub mod status_consumer;
pub mod store;
pub mod streams;
#[cfg(test)]
mod tests;
pub mod uploads;
pub mod words;

use std::sync::Arc;
use std::time::Duration;

use lotoai_kit::rabbitmq::Rabbitmq;
use lotoai_kit::{HasCommon as _, Readiness, Service};
use snafu::ResultExt as _;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use error::Error;

use crate::admission::Admission;
use crate::budget::current::Budgets;
use crate::budget::ledger;
use crate::budget::table::Table;
use crate::config::RetentionArgs;
use crate::error::{
    BudgetsSnafu, LoginSnafu, MigrateSnafu, ModelServerSnafu, ObjectsSnafu, OrchestratorSnafu,
    PostgresSnafu, ProviderSnafu, RabbitmqSnafu, ServeSnafu, StoredBudgetsSnafu,
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
use crate::model_server::ModelServer;
use crate::objects::Objects;
use crate::openapi::Docs;
use crate::orchestrator::Orchestrator;
use crate::outbox::Wake;
use crate::routes::web::WebClient;
use crate::state::AppState;
use crate::store::Store;
use crate::streams::Streams;
use crate::uploads::Uploads;

/// How long the end of a whole answer is held back for a database that is away: longer than one takes
/// to start again or to change its primary.
const STORING: Duration = Duration::from_secs(30);

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
    // Before the first question: one of them may be what refuses it.
    let known = state.budgets.refresh(&state.store).await;
    known.context(StoredBudgetsSnafu)?;

    keep_keys_fresh(&service, Arc::clone(state.verifier.jwks()));
    keep_stored(&service, &state.store, config.retention);
    // A stop ends these two only when the last answer has gone.
    let served = CancellationToken::new();
    let _served = served.clone().drop_guard();
    service.keep_up(
        "open-answers",
        state.sessions.clone().look_after_answers(served.clone()),
    );
    service.keep_up(
        "open-streams",
        state.streams.clone().keep(state.store.clone(), served),
    );
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
    let key = config.sealing_key();
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
    let table = Table::load(config.budgets_file.as_deref()).context(BudgetsSnafu)?;
    let bucket = config
        .s3
        .open(objects::REQUEST_TIMEOUT)
        .map_err(Into::into)
        .context(ObjectsSnafu)?;
    let channel = config
        .orchestrator
        .grpc_channel(&config.common.tls)
        .map_err(Into::into)
        .context(OrchestratorSnafu)?;
    let model_server = ModelServer::new(
        &config.model_server,
        &config.common.tls,
        config.embedding_model.clone(),
        &config.limits,
    )
    .map_err(Into::into)
    .context(ModelServerSnafu)?;
    let ending = ending(service, config.common().answers());
    Ok(Arc::new(AppState {
        store,
        objects: Objects::new(bucket, service.tasks.clone(), ending.clone()),
        orchestrator: Orchestrator::new(channel, &config.limits),
        model_server,
        verifier,
        probe_token: ProbeToken::new(
            config.probe_token.as_ref(),
            config.probe_token_standby.as_ref(),
        ),
        login,
        sessions,
        key_ring,
        watch,
        streams: Streams::default(),
        uploads: Uploads::default(),
        admission: Admission::new(config.limits.requests_max_concurrent),
        limits: config.limits,
        budgets: Budgets::new(table),
        docs: Docs::new(&config.public_url),
        public_url: config.public_url.clone(),
        events: Wake::default(),
        discarded: Wake::default(),
        spendings: Wake::default(),
        storing: STORING,
        ending,
        tasks: service.tasks.clone(),
    }))
}

/// Cancelled when answers have had their time since a stop: what is still being answered then ends with
/// an error that its client can read, and is stored, instead of being cut.
fn ending(service: &Service, answers: Duration) -> CancellationToken {
    let (ending, stop) = (CancellationToken::new(), service.shutdown.clone());
    let told = ending.clone();
    // Not one of the tasks that a stop waits for: with nothing to answer it is over sooner.
    tokio::spawn(async move {
        stop.cancelled().await;
        tokio::time::sleep(answers).await;
        told.cancel();
    });
    ending
}

/// Nobody can be told from anybody without keys, so the first of them are a condition of being
/// ready. Later the old ones go on working.
fn keep_keys_fresh(service: &Service, jwks: Arc<Jwks>) {
    let gate = service.readiness.register("identity-provider");
    let stop = service.shutdown.clone();
    service.keep_up("signing-keys", async move {
        let fetching = jwks.keep_fresh(|outcome| match outcome {
            Ok(()) => gate.ready(),
            Err(error) if jwks.generation() == 0 => gate.not_ready(error),
            Err(error) => tracing::warn!(error, "no fresh signing keys; the old ones stay"),
        });
        tokio::select! {
            () = fetching => {}
            () = stop.cancelled() => {}
        }
    });
}

/// Conversations are found by their words; they and others come to their end.
fn keep_stored(service: &Service, store: &Store, retention: RetentionArgs) {
    let stop = || service.shutdown.clone();
    service.keep_up("words", words::keep(store.clone(), stop()));
    service.keep_up(
        "retention",
        retention::keep(store.clone(), retention, stop()),
    );
}

fn work_in_background(service: &Service, state: &AppState, rabbitmq: Rabbitmq) {
    let store = || state.store.clone();
    let stop = || service.shutdown.clone();
    service.keep_up(
        "outbox",
        outbox::relay(store(), rabbitmq.clone(), state.events.clone(), stop()),
    );
    service.keep_up(
        "discarded-objects",
        objects::sweep(
            store(),
            state.objects.clone(),
            state.discarded.clone(),
            stop(),
        ),
    );
    service.keep_up(
        "uploads",
        uploads::sweep(store(), state.objects.clone(), stop()),
    );
    service.keep_up(
        "erasures",
        erasure::elsewhere::keep(store(), state.orchestrator.clone(), stop()),
    );
    service.keep_up("sessions", state.sessions.clone().sweep(stop()));
    service.keep_up(
        "spendings",
        ledger::keep(store(), state.spendings.clone(), stop()),
    );
    service.keep_up("budgets", state.budgets.clone().keep(store(), stop()));
    let (store, stop) = (store(), stop());
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
