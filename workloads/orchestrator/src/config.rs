//! Configuration from the environment.

use std::time::Duration;

use clap::Parser;
use lotoai_kit::{
    CommonArgs, HasCommon,
    postgres::PostgresArgs,
    upstream::{AgentsArgs, McpServerArgs, ModelServerArgs, RagServerArgs},
};

use crate::rag;

/// Everything that the environment may set.
#[derive(Debug, Clone, Parser)]
#[command(name = "orchestrator", about = "Decides per request and answers")]
pub struct Config {
    /// What every workload has.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The store of runs.
    #[command(flatten)]
    pub postgres: PostgresArgs,
    /// Model providers by role.
    #[command(flatten)]
    pub agents: AgentsArgs,
    /// The vector store.
    #[command(flatten)]
    pub rag_server: RagServerArgs,
    /// Embeddings.
    #[command(flatten)]
    pub model_server: ModelServerArgs,
    /// Tools.
    #[command(flatten)]
    pub mcp_server: McpServerArgs,
    /// How requests are answered.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// How requests are answered.
#[derive(Debug, Clone, clap::Args)]
pub struct AnswerArgs {
    /// The embedding model that questions, tools and roles are compared with.
    #[arg(long, env = "EMBEDDING_MODEL", default_value = "all-minilm-l6-v2")]
    pub embedding_model: String,

    /// Seconds that one request may take in all; a tool may take 115 of them
    #[arg(long, env = "REQUEST_TIMEOUT_SECONDS", default_value_t = 180,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub request_timeout_seconds: u64,

    /// Context of the local model in tokens; conversations for it are trimmed to fit.
    #[arg(long, env = "LOCAL_CONTEXT_TOKENS", default_value_t = 2_048,
          value_parser = clap::value_parser!(u32).range(1024..))]
    pub local_context_tokens: u32,

    /// Context of a capable model in tokens.
    #[arg(long, env = "CAPABLE_CONTEXT_TOKENS", default_value_t = 32_768,
          value_parser = clap::value_parser!(u32).range(1024..))]
    pub capable_context_tokens: u32,
}

impl AnswerArgs {
    /// The time for one request.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }

    /// How long of it a search may be waited for: a quarter, so that the answer has the rest.
    #[must_use]
    pub fn search_patience(&self) -> Duration {
        (self.request_timeout() / 4).min(rag::PATIENCE)
    }
}

impl HasCommon for Config {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        answer: AnswerArgs,
    }

    #[test]
    fn a_request_has_time_for_the_slowest_tool_after_a_patient_search() {
        let args = Only::parse_from(["test"]).answer;
        let search = args.search_patience();
        assert_eq!(search, rag::PATIENCE);
        // Before it: vectors of question, tools and roles.
        let before = search + Duration::from_secs(30);
        assert!(args.request_timeout() >= before + mcp::CALL_TIMEOUT);
    }

    #[test]
    fn help_explains_every_variable() {
        use clap::CommandFactory as _;

        let faults = lotoai_kit::config_error::unexplained(&Config::command());
        assert_eq!(faults, Vec::<String>::new());
    }
}
