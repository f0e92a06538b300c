//! Configuration from the environment.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use lotoai_kit::{CommonArgs, HasCommon};

/// Everything that the environment may set.
#[derive(Debug, Clone, Parser)]
#[command(name = "agents", about = "Model providers by role")]
pub struct Config {
    /// What every workload has.
    #[command(flatten)]
    pub common: CommonArgs,

    /// The role table.
    #[arg(long, env = "AGENTS_CONFIG", default_value = "/etc/lotoai/agents.yaml")]
    pub agents_config: PathBuf,

    /// Milliseconds until a connection to a provider must stand.
    #[arg(long, env = "CONNECT_TIMEOUT_MS", default_value_t = 2_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub connect_timeout_ms: u64,

    /// Milliseconds from the request until a provider begins to answer.
    #[arg(long, env = "HEAD_TIMEOUT_MS", default_value_t = 30_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub head_timeout_ms: u64,

    /// Milliseconds of silence from then to the first piece of the answer, while a model thinks; half
    /// of it where another model may follow.
    #[arg(long, env = "FIRST_TOKEN_TIMEOUT_MS", default_value_t = 90_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub first_token_timeout_ms: u64,

    /// Milliseconds for each of the two of a local model, which answers one conversation after the
    /// other: the wait for its turn is a part of it.
    #[arg(long, env = "LOCAL_FIRST_TOKEN_TIMEOUT_MS", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub local_first_token_timeout_ms: u64,

    /// Milliseconds of silence within the answer.
    #[arg(long, env = "BETWEEN_TOKENS_TIMEOUT_MS", default_value_t = 15_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub between_tokens_timeout_ms: u64,

    /// Milliseconds for the whole call, fail-over included.
    #[arg(long, env = "TOTAL_TIMEOUT_MS", default_value_t = 105_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub total_timeout_ms: u64,
}

impl HasCommon for Config {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

impl Config {
    /// The timeouts as durations.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: Duration::from_millis(self.connect_timeout_ms),
            head: Duration::from_millis(self.head_timeout_ms),
            first_token: Duration::from_millis(self.first_token_timeout_ms),
            local_first_token: Duration::from_millis(self.local_first_token_timeout_ms),
            between_tokens: Duration::from_millis(self.between_tokens_timeout_ms),
            total: Duration::from_millis(self.total_timeout_ms),
        }
    }
}

/// How long a provider may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// From the request until the provider begins to answer.
    pub head: Duration,
    /// Of silence from then to the first piece of the answer; half of it where another model may follow.
    pub first_token: Duration,
    /// Each of the two, of a local model.
    pub local_first_token: Duration,
    /// Of silence within the answer.
    pub between_tokens: Duration,
    /// For the whole call, fail-over included.
    pub total: Duration,
}

impl Timeouts {
    /// How long a model may take until its provider begins to answer, and then be silent before it
    /// writes. Where it is not the last, time is left for the next.
    pub(crate) fn before_text(&self, is_local: bool, is_last: bool) -> (Duration, Duration) {
        if is_local {
            (self.local_first_token, self.local_first_token)
        } else if is_last {
            (self.head, self.first_token)
        } else {
            (self.head, self.first_token / 2)
        }
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
