//! Decides per request between knowledge, an agent role and a tool.
//!
//! `domain` decides and is pure; `rag`, `agents`, `mcp` and `embeddings` are the far sides;
//! `flows` joins them; `store` keeps what was decided; `service` speaks gRPC.

pub mod agents;
pub mod config;
pub mod domain;
pub mod embeddings;
pub mod error;
pub mod failure;
pub mod flows;
pub mod mcp;
pub mod rag;
pub mod service;
pub mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use lotoai_contracts::v1::orchestrator_server::OrchestratorServer;
use lotoai_kit::{Service, callers::Callers, postgres};
use snafu::ResultExt;
use tonic::service::Routes;

pub use config::Config;
pub use error::Error;

/// How often old approvals are deleted.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Runs the service until it is told to stop.
///
/// # Errors
/// A client cannot be made, the store cannot be opened or migrated, or the listener fails.
pub async fn run(config: Config, service: Service) -> Result<(), Error> {
    let pool = config
        .postgres
        .pool(&service)
        .await
        .context(error::OpenStoreSnafu)?;
    postgres::migrate(&pool, &store::MIGRATIONS)
        .await
        .context(error::MigrateSnafu)?;
    let store = store::Store::Postgres(pool);
    forget(&service, store.clone());
    let hub = hub(&config, store)?;
    let stop = service::Stop::new(service.shutdown.clone(), config.common.answers());
    let answers = service::OrchestratorService::new(hub, service.tasks.clone(), stop);
    let callers = Callers::from_env();
    let listen = config.common.grpc_listen();
    service
        .serve_grpc(listen, routes(answers, &callers))
        .await
        .context(error::ServeSnafu)
}

/// The service behind the callers' tokens.
fn routes(answers: service::OrchestratorService, callers: &Callers) -> Routes {
    Routes::new(OrchestratorServer::with_interceptor(
        answers,
        callers.interceptor(),
    ))
}

/// Deletes old approvals from time to time; replicas may do so at once.
fn forget(service: &Service, store: store::Store) {
    let shutdown = service.shutdown.clone();
    service.keep_up("approvals", async move {
        let mut ticks = tokio::time::interval(FORGET_EVERY);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match store.forget_approvals().await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "old approvals were deleted"),
                Err(failure) => {
                    tracing::warn!(reason = failure.message, "old approvals were not deleted");
                }
            }
        }
    });
}

/// The clients of the far sides. None of them connects before it is used.
#[expect(clippy::result_large_err, reason = "it is called once, at the start")]
fn hub(config: &Config, store: store::Store) -> Result<flows::Hub, Error> {
    let client = |service| error::ClientSnafu { service };
    let tls = &config.common.tls;
    let agents = config.agents.grpc_channel(tls).context(client("agents"))?;
    let rag = config
        .rag_server
        .grpc_channel(tls)
        .context(client("rag-server"))?;
    let models = config
        .model_server
        .http_client(tls)
        .context(client("model-server"))?;
    let tools = config
        .mcp_server
        .http_client(tls)
        .context(client("mcp-server"))?;
    let embedding_model = config.answer.embedding_model.clone();
    let embeddings = embeddings::Embeddings::new(models, &config.model_server.url, embedding_model)
        .context(error::AddressSnafu)?;
    Ok(flows::Hub {
        agents: agents::Agents::new(agents),
        rag: rag::Rag::new(rag),
        mcp: mcp::Mcp::new(tools, config.mcp_server.url.clone()),
        embeddings,
        store,
        args: config.answer.clone(),
    })
}
