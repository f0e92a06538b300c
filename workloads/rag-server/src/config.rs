//! Configuration from the environment.

use std::path::PathBuf;

use clap::{Args, Parser};
use lotoai_kit::upstream::ModelServerArgs;
use lotoai_kit::{CommonArgs, HasCommon};
use secrecy::SecretString;
use url::Url;

/// Configuration of the RAG server.
#[derive(Debug, Clone, Parser)]
#[command(version, about)]
pub struct Config {
    #[command(flatten)]
    common: CommonArgs,

    /// Directory that keeps the embedded vector store
    #[arg(long, env = "RAG_DATA", default_value = "/var/lib/rag")]
    pub rag_data: PathBuf,

    /// Qdrant, when it keeps the vectors
    #[command(flatten)]
    pub qdrant: QdrantArgs,

    /// Model whose vectors the store keeps; others are refused, since they are not comparable
    #[arg(long, env = "EMBEDDING_MODEL", default_value = "all-minilm-l6-v2")]
    pub embedding_model: String,

    /// The model server, which turns a question into a vector
    #[command(flatten)]
    pub model_server: ModelServerArgs,
}

/// Where Qdrant is, and how the collection is laid out when it is made.
#[derive(Debug, Clone, Args)]
pub struct QdrantArgs {
    /// Address of Qdrant's gRPC port, for example `http://lotoai-qdrant:6334`; without it vectors
    /// are kept in `RAG_DATA`
    #[arg(long, env = "QDRANT_URL")]
    pub qdrant_url: Option<Url>,
    /// Key, unless the server needs none
    #[arg(long, env = "QDRANT_API_KEY", hide_env_values = true)]
    pub qdrant_api_key: Option<SecretString>,
    /// Collection
    #[arg(long, env = "QDRANT_COLLECTION", default_value = "passages")]
    pub qdrant_collection: String,
    /// On how many peers each passage lies, 1 to 9
    #[arg(long, env = "QDRANT_REPLICATION_FACTOR", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=9))]
    pub qdrant_replication_factor: u32,
    /// Into how many shards passages are divided, 1 to 64
    #[arg(long, env = "QDRANT_SHARDS", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub qdrant_shards: u32,
    /// File with the authority of the server's certificate, beside the well-known ones
    #[arg(long, env = "QDRANT_CA_FILE")]
    pub qdrant_ca_file: Option<PathBuf>,
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
