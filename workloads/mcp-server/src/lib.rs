//! Tools over MCP streamable HTTP, stateless: any replica can answer any call.
//!
//! `domain` holds what is pure (declarations, argument checks, request building), `run` what a
//! tool does, `server` the protocol's side.

pub mod config;
pub mod domain;
pub mod run;
pub mod server;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use lotoai_kit::callers::Callers;
use lotoai_kit::{ServeError, Service};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use snafu::{ResultExt, Snafu};

pub use config::Config;

use crate::domain::tool::Tool;
use crate::run::places::Scripts;
use crate::server::Tools;

/// Why the workload cannot start or go on.
#[derive(Debug, Snafu)]
pub enum Error {
    /// The kernel does not keep the process to itself.
    #[snafu(display("failed to hide the environment, which holds tokens, from the scripts"))]
    Hide {
        /// Cause.
        source: rustix::io::Errno,
    },
    /// The file cannot be read.
    #[snafu(display("failed to read the tools from {path:?}"))]
    Read {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The file has another shape.
    #[snafu(display("failed to understand the tools in {path:?}"))]
    Parse {
        /// The file.
        path: PathBuf,
        /// Cause, with line and field.
        source: serde_yaml_ng::Error,
    },
    /// The HTTP client cannot be built.
    #[snafu(display("failed to build the HTTP client of the tools"))]
    Client {
        /// Cause.
        source: run::http::ClientError,
    },
    /// The listener failed.
    #[snafu(display("failed to serve"))]
    Serve {
        /// Cause.
        source: ServeError,
    },
}

/// Serves until it is told to stop.
///
/// # Errors
/// The process cannot be kept from scripts, the declarations cannot be used, or the listener fails.
pub async fn run(config: Config, service: Service) -> Result<(), Error> {
    // A script is a process of the same user, and could read the tokens in `/proc/<pid>/environ` or in
    // the memory; those of a process that is not dumped are root's alone.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context(HideSnafu)?;
    let tools = load(&config.mcp_config).await?;
    tracing::info!(tools = tools.len(), "tools declared");
    let tools = Tools::new(
        tools,
        run::http::client(&config.common.tls).context(ClientSnafu)?,
        Scripts::of_this_container().await,
    );
    let router = router(tools, config.allowed_hosts(), &Callers::from_env());
    service.readiness.register("tools").ready();
    service
        .serve_http(config.common.http_listen(), router)
        .await
        .context(ServeSnafu)
}

/// The router with the protocol at `/mcp`; a call without a known token is refused.
///
/// It knows nothing of a stop: the HTTP server lets calls finish and answers who still comes. A token
/// that told the protocol's side would cut both off.
pub fn router(tools: Tools, allowed_hosts: Vec<String>, callers: &Callers) -> Router {
    let mut config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(allowed_hosts)
        .enforce_origin_validation();
    config.legacy_session_mode = false;
    config.json_response = true;
    let mcp = StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    Router::new()
        .route_service("/mcp", mcp)
        .layer(callers.layer())
}

async fn load(path: &std::path::Path) -> Result<Vec<Tool>, Error> {
    let text = tokio::fs::read_to_string(path)
        .await
        .context(ReadSnafu { path })?;
    let declarations = serde_yaml_ng::from_str(&text).context(ParseSnafu { path })?;
    let (tools, faults) = domain::tool::tools(declarations);
    for fault in &faults {
        tracing::error!(%fault, "a tool is left out; correct it in the resource");
    }
    metrics::gauge!("lotoai_mcp_server_tools", "state" => "served").set(tools.len() as f64);
    metrics::gauge!("lotoai_mcp_server_tools", "state" => "left_out").set(faults.len() as f64);
    Ok(tools)
}
