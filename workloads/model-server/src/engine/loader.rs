//! Opening model files, and the threads that own them.

use std::path::Path;
use std::sync::OnceLock;

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};
use lotoai_kit::Service;
use snafu::{ResultExt, ensure};
use tokio::sync::oneshot;

use super::error::{
    EngineError, FindModelSnafu, LoadModelSnafu, SpawnThreadSnafu, ThreadLostSnafu,
};

/// The library, initialised once per process and never torn down: models on other threads may
/// outlive any owner that we could name.
pub(super) fn backend() -> Result<&'static LlamaBackend, EngineError> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    BACKEND
        .get_or_init(|| {
            // The library reports every load in about a hundred lines; only a debugger wants them.
            let wanted = tracing::enabled!(tracing::Level::DEBUG);
            send_logs_to_tracing(LogOptions::default().with_logs_enabled(wanted));
            LlamaBackend::init().map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(|reason| EngineError::StartBackend {
            reason: reason.clone(),
        })
}

/// Maps the file into memory.
pub(super) fn load(path: &Path) -> Result<LlamaModel, EngineError> {
    // The library asserts that the file is there.
    ensure!(path.is_file(), FindModelSnafu { path });
    LlamaModel::load_from_file(backend()?, path, &LlamaModelParams::default())
        .context(LoadModelSnafu { path })
}

/// Runs `work` on a thread of its own. When it fails or panics, the process ends with the reason;
/// a stop waits for it, so `work` must return once its queue is closed.
pub(super) fn spawn<F>(model: &'static str, service: &Service, work: F) -> Result<(), EngineError>
where
    F: FnOnce() -> Result<(), EngineError> + Send + 'static,
{
    let (done, outcome) = oneshot::channel();
    std::thread::Builder::new()
        .name(model.to_owned())
        .spawn(move || {
            // Nobody listens any more when the process is ending anyway.
            let _ = done.send(work());
        })
        .context(SpawnThreadSnafu { model })?;
    service.spawn(model, async move {
        // The sender is dropped unsent exactly when the thread panicked.
        outcome
            .await
            .unwrap_or_else(|_| ThreadLostSnafu { model }.fail())
    });
    Ok(())
}
