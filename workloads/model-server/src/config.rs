//! Configuration from the environment.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use lotoai_kit::{CommonArgs, HasCommon};

use crate::engine::{ChatOptions, EmbedderOptions};

/// Configuration of the model server.
#[derive(Debug, Clone, Parser)]
#[command(version, about)]
pub struct Config {
    #[command(flatten)]
    common: CommonArgs,

    /// Directory of `all-minilm-l6-v2.gguf` and `smollm2-135m-instruct.gguf`
    #[arg(long, env = "MODELS_DIR", default_value = "/models")]
    pub models_dir: PathBuf,

    /// Threads that each model computes with, 1 to 64; unset = all cores this process may use
    #[arg(long, env = "MODEL_THREADS", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub model_threads: Option<u16>,

    /// Tokens that a conversation and its answer may have together, 512 to 8192
    #[arg(long, env = "CHAT_CONTEXT_TOKENS", default_value_t = 4096,
          value_parser = clap::value_parser!(u32).range(512..=8192))]
    pub chat_context_tokens: u32,

    /// Chat requests that may wait; one more is refused with 429. 1 to 1024
    #[arg(long, env = "CHAT_QUEUE", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub chat_queue: u16,

    /// Embedding requests that may wait; one more is refused with 429. 1 to 1024
    #[arg(long, env = "EMBEDDING_QUEUE", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub embedding_queue: u16,
}

impl HasCommon for Config {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

impl Config {
    /// Threads that each model computes with: every core, although there are two models. What that
    /// means for busy cores: docs/adr/0006-llama-cpp-for-chat-and-embeddings.md.
    #[must_use]
    pub fn threads(&self) -> u16 {
        self.model_threads.unwrap_or_else(|| {
            let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            u16::try_from(cores).unwrap_or(64).clamp(1, 64)
        })
    }

    pub(crate) fn embedder(&self) -> EmbedderOptions {
        EmbedderOptions {
            path: self.models_dir.join("all-minilm-l6-v2.gguf"),
            threads: self.threads(),
            queue: usize::from(self.embedding_queue),
        }
    }

    pub(crate) fn chat(&self) -> ChatOptions {
        ChatOptions {
            path: self.models_dir.join("smollm2-135m-instruct.gguf"),
            threads: self.threads(),
            queue: usize::from(self.chat_queue),
            context_tokens: self.chat_context_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::no_thread("--model-threads=0")]
    #[case::tiny_context("--chat-context-tokens=511")]
    #[case::beyond_training("--chat-context-tokens=8193")]
    #[case::no_queue("--chat-queue=0")]
    #[case::no_embedding_queue("--embedding-queue=0")]
    fn out_of_range_is_refused(#[case] argument: &str) {
        assert!(Config::try_parse_from(["model-server", argument]).is_err());
    }

    #[test]
    fn defaults_use_the_image_and_all_cores() {
        let config = Config::try_parse_from(["model-server"]).unwrap();
        assert_eq!(
            config.embedder().path,
            PathBuf::from("/models/all-minilm-l6-v2.gguf")
        );
        assert_eq!(config.chat().context_tokens, 4096);
        assert!(config.threads() >= 1);
    }

    #[test]
    fn help_explains_every_variable() {
        use clap::CommandFactory as _;

        let faults = lotoai_kit::config_error::unexplained(&Config::command());
        assert_eq!(faults, Vec::<String>::new());
    }
}
