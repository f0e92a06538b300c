//! Configuration, from environment variables.

use clap::Parser;
use lotoai_kit::rabbitmq::RabbitmqArgs;
use lotoai_kit::s3::S3Args;
use lotoai_kit::upstream::{ModelServerArgs, RagServerArgs};
use lotoai_kit::{CommonArgs, HasCommon};

/// Turns documents into chunks and chunks into vectors.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) rabbitmq: RabbitmqArgs,
    #[command(flatten)]
    pub(crate) s3: S3Args,
    #[command(flatten)]
    pub(crate) model_server: ModelServerArgs,
    #[command(flatten)]
    pub(crate) rag_server: RagServerArgs,

    /// Name of the embedding model
    #[arg(long, env = "EMBEDDING_MODEL", default_value = "all-minilm-l6-v2")]
    pub(crate) embedding_model: String,

    /// Longest chunk in characters, 100 to 4000. 600 characters are about 150 tokens of English,
    /// within the 256 that the embedding model reads
    #[arg(long, env = "CHUNK_MAX_CHARACTERS", default_value_t = 600,
          value_parser = clap::value_parser!(u32).range(100..=4000))]
    pub(crate) chunk_max_characters: u32,

    /// Characters that neighbouring chunks share, at most half a chunk
    #[arg(long, env = "CHUNK_OVERLAP_CHARACTERS", default_value_t = 80,
          value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) chunk_overlap_characters: u32,

    /// Largest document in bytes
    #[arg(long, env = "MAX_DOCUMENT_BYTES", default_value_t = 32 * 1024 * 1024)]
    pub(crate) max_document_bytes: u64,

    /// Seconds for which a document waits for a store or a service that is away; a deletion begins
    /// to wait anew after it
    #[arg(long, env = "PATIENCE_SECONDS", default_value_t = 900,
          value_parser = clap::value_parser!(u64).range(1..=1500))]
    pub(crate) patience_seconds: u64,
}

impl HasCommon for Config {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_explains_every_variable() {
        use clap::CommandFactory as _;

        let faults = lotoai_kit::config_error::unexplained(&Config::command());
        assert_eq!(faults, Vec::<String>::new());
    }
}
