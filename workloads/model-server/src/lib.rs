//! Embeddings and a small instruct model on CPU, behind the OpenAI API.
//!
//! Each model lives on a thread of its own with a bounded queue ([`engine`]); [`api`] turns HTTP
//! into jobs for these queues.

pub mod api;
mod config;
pub mod engine;
mod error;

use std::sync::Arc;

use lotoai_kit::callers::Callers;
use lotoai_kit::{HasCommon, Service};
use snafu::ResultExt;

pub use config::Config;
pub use error::Error;

/// Loads both models and serves them until a stop is asked for.
///
/// # Errors
///
/// When the address cannot be served on. A model that cannot be loaded ends the process through
/// the kit, with the reason.
pub async fn run(config: Config, service: Service) -> Result<(), Error> {
    let threads = config.threads();
    tracing::info!(threads, models_dir = %config.models_dir.display(), "loading models");
    let embedder =
        engine::Embedder::start(config.embedder(), &service).context(error::StartEngineSnafu)?;
    let chat = engine::Chat::start(config.chat(), &service).context(error::StartEngineSnafu)?;
    let state = Arc::new(api::State { embedder, chat });
    let router = api::router(state, Callers::from_env());
    service
        .serve_http(config.common().http_listen(), router)
        .await
        .context(error::ServeSnafu)
}
