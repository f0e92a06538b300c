//! Configuration, from environment variables.

use std::path::PathBuf;

use clap::{Args, Parser};
use lotoai_kit::rabbitmq::RabbitmqArgs;
use lotoai_kit::{CommonArgs, HasCommon};
use secrecy::SecretString;
use url::Url;

/// Writes usage events to ClickHouse and answers questions about them.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) rabbitmq: RabbitmqArgs,
    #[command(flatten)]
    pub(crate) clickhouse: ClickHouseArgs,

    /// Most events in one insert
    #[arg(long, env = "BATCH_SIZE", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub(crate) batch_size: u16,

    /// Milliseconds that an event waits for others before it is inserted
    #[arg(long, env = "BATCH_MILLISECONDS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=60000))]
    pub(crate) batch_milliseconds: u64,

    /// Days for which usage is kept, 1 to 36500
    #[arg(long, env = "USAGE_RETENTION_DAYS", default_value_t = 400, value_parser = clap::value_parser!(u16).range(1..=36_500))]
    pub(crate) usage_retention_days: u16,
}

/// Where ClickHouse is and who we are there.
#[derive(Debug, Clone, Args)]
pub struct ClickHouseArgs {
    /// Address of the HTTP interface, for example `https://lotoai-clickhouse:8443`
    #[arg(long, env = "CLICKHOUSE_URL")]
    pub clickhouse_url: Url,
    /// Database
    #[arg(long, env = "CLICKHOUSE_DATABASE", default_value = "lotoai")]
    pub clickhouse_database: String,
    /// Name of the cluster, when there are several servers
    #[arg(long, env = "CLICKHOUSE_CLUSTER", value_parser = cluster_name)]
    pub clickhouse_cluster: Option<String>,
    /// User
    #[arg(long, env = "CLICKHOUSE_USERNAME")]
    pub clickhouse_username: String,
    /// Password of the user
    #[arg(long, env = "CLICKHOUSE_PASSWORD", hide_env_values = true)]
    pub clickhouse_password: SecretString,
    /// File with the authority of the server's certificate, beside the well-known ones
    #[arg(long, env = "CLICKHOUSE_CA_FILE")]
    pub clickhouse_ca_file: Option<PathBuf>,
}

/// A name that needs no quoting in a statement.
fn cluster_name(name: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.len() <= 63 && name.chars().all(plain) {
        Ok(name.to_owned())
    } else {
        Err("use up to 63 letters, digits and underscores".to_owned())
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

    impl ClickHouseArgs {
        /// One server at `url`, whose user is `analytics`.
        pub(crate) fn for_tests(url: &str) -> Self {
            Self {
                clickhouse_url: url.parse().unwrap(),
                clickhouse_database: "lotoai".into(),
                clickhouse_cluster: None,
                clickhouse_username: "analytics".into(),
                clickhouse_password: "p".into(),
                clickhouse_ca_file: None,
            }
        }
    }

    #[test]
    fn help_explains_every_variable() {
        use clap::CommandFactory as _;

        let faults = lotoai_kit::config_error::unexplained(&Config::command());
        assert_eq!(faults, Vec::<String>::new());
    }
}
