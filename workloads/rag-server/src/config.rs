//! Configuration from the environment.

use std::path::PathBuf;

use clap::Parser;
use lotoai_kit::upstream::ModelServerArgs;
use lotoai_kit::{CommonArgs, HasCommon};

/// Configuration of the RAG server.
#[derive(Debug, Clone, Parser)]
#[command(version, about)]
pub struct Config {
    #[command(flatten)]
    common: CommonArgs,

    /// Directory that keeps the vector store
    #[arg(long, env = "RAG_DATA", default_value = "/var/lib/rag")]
    pub rag_data: PathBuf,

    /// Model whose vectors the store keeps; others are refused, since they are not comparable
    #[arg(long, env = "EMBEDDING_MODEL", default_value = "all-minilm-l6-v2")]
    pub embedding_model: String,

    /// The model server, which turns a question into a vector
    #[command(flatten)]
    pub model_server: ModelServerArgs,
}

impl HasCommon for Config {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}
