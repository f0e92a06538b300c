//! Model providers by role: the only pod with provider keys.
//!
//! `service` speaks gRPC, `complete` walks a role's models until one of them begins to answer,
//! `provider` turns each vendor's stream into [`provider::Event`]s, `collect` reads them, `breaker` keeps a broken
//! provider from costing every caller a timeout, `table` reads `agents.yaml`.

pub mod breaker;
mod collect;
pub mod complete;
pub mod config;
pub mod error;
pub mod format;
pub mod functions;
pub mod provider;
pub mod schema;
pub mod service;
pub mod table;

use std::sync::Arc;

use lotoai_contracts::v1::agents_server::AgentsServer;
use lotoai_kit::{Service, callers::Callers};
use snafu::ResultExt;
use tonic::service::Routes;

pub use config::Config;
pub use error::Error;

/// Runs the service until it is told to stop.
///
/// # Errors
/// The role table cannot be read, an HTTP client cannot be made, or the listener fails.
pub async fn run(config: Config, service: Service) -> Result<(), Error> {
    let text = tokio::fs::read_to_string(&config.agents_config)
        .await
        .context(error::ReadTableSnafu {
            path: &config.agents_config,
        })?;
    let table = table::Table::parse(&text).context(error::ParseTableSnafu {
        path: &config.agents_config,
    })?;
    let timeouts = config.timeouts();
    let providers = provider::Providers::open(&table, &timeouts, &config.common.tls, |name| {
        std::env::var(name).ok()
    })
    .context(error::OpenProvidersSnafu)?;
    for (name, reason) in providers.unavailable() {
        tracing::warn!(provider = name, reason, "a provider cannot be used");
    }
    tracing::info!(
        roles = table.roles.len(),
        providers = table.providers.len(),
        "the role table is loaded"
    );
    let completer = Arc::new(complete::Completer::new(table, providers, timeouts));
    let agents = service::AgentsService::new(completer, service.tasks.clone());
    let callers = Callers::from_env();
    let routes = routes(agents, &callers);
    let gate = service.readiness.register("roles");
    gate.ready();
    service
        .serve_grpc(config.common.grpc_listen(), routes)
        .await
        .context(error::ServeSnafu)
}

/// The service behind the callers' tokens.
fn routes(agents: service::AgentsService, callers: &Callers) -> Routes {
    Routes::new(AgentsServer::with_interceptor(
        agents,
        callers.interceptor(),
    ))
}
