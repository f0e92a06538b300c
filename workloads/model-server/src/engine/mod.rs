//! The models, each with a bounded queue of jobs in front of it. One thread owns the chat model and
//! its llama.cpp context; the embedding model has a thread per core, each with a context of its own.
//! Nothing of llama.cpp leaves those threads.

mod chat;
mod embed;
mod encoder;
mod error;
mod loader;
mod metrics;
pub mod prompt;
mod rambling;
mod runner;
mod schedule;
mod text;

pub use chat::{Chat, ChatEvent, ChatJob, ChatOptions, FinishReason};
pub use embed::{Embedded, Embedder, EmbedderOptions};
pub use error::EngineError;

/// Name of the embedding model in the API.
pub const EMBEDDING_MODEL: &str = "all-minilm-l6-v2";
/// Name of the chat model in the API.
pub const CHAT_MODEL: &str = "smollm2-135m-instruct";
/// Numbers in a vector of the embedding model.
pub const DIMENSIONS: usize = 384;
