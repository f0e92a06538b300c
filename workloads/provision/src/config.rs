//! Configuration: which store, where it is and who we are there.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use lotoai_kit::{CommonArgs, HasCommon};
use secrecy::SecretString;
use url::Url;

/// Creates in a store what the platform needs there.
#[derive(Debug, Clone, Parser)]
#[command(name = "provision", version)]
pub struct Config {
    /// What every workload has
    #[command(flatten)]
    pub common: CommonArgs,

    /// File that says what each store needs
    #[arg(
        long,
        env = "PROVISION_FILE",
        default_value = "/etc/lotoai/provision.yaml"
    )]
    pub file: PathBuf,

    /// Seconds to wait for the store, 1 to 3600
    #[arg(long, env = "PROVISION_PATIENCE_SECONDS", default_value_t = 120,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub patience_seconds: u64,

    /// The store
    #[command(subcommand)]
    pub store: Store,
}

impl Config {
    /// How long to wait for the store.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_seconds)
    }
}

impl HasCommon for Config {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

/// A store, with its administrator.
#[derive(Debug, Clone, Subcommand)]
pub enum Store {
    /// Roles and databases in PostgreSQL
    Postgres(PostgresAdmin),
    /// Virtual host, exchanges, queues, bindings and users in RabbitMQ
    Rabbitmq(RabbitmqAdmin),
    /// Buckets, users and policies in MinIO
    S3(S3Admin),
    /// Realm, clients, roles, groups and the first user in Keycloak
    Keycloak(KeycloakAdmin),
    /// Databases in ClickHouse
    Clickhouse(ClickhouseAdmin),
}

/// Administrator of PostgreSQL.
#[derive(Debug, Clone, Args)]
pub struct PostgresAdmin {
    /// Address with database, for example `postgres://lotoai-postgres:5432/postgres?sslmode=verify-full`
    #[arg(long, env = "POSTGRES_URL")]
    pub postgres_url: Url,
    /// A role that may create roles and databases
    #[arg(long, env = "POSTGRES_USERNAME")]
    pub postgres_username: String,
    /// Password of the role
    #[arg(long, env = "POSTGRES_PASSWORD", hide_env_values = true)]
    pub postgres_password: SecretString,
    /// Password that the role may have instead; then it gets the other one
    #[arg(long, env = "POSTGRES_PASSWORD_STANDBY", hide_env_values = true)]
    pub postgres_password_standby: Option<SecretString>,
    /// File with the authority of the server's certificate, beside the well-known ones
    #[arg(long, env = "POSTGRES_CA_FILE")]
    pub postgres_ca_file: Option<PathBuf>,
}

/// Administrator of RabbitMQ.
#[derive(Debug, Clone, Args)]
pub struct RabbitmqAdmin {
    /// Address of the management plugin, for example `https://lotoai-rabbitmq:15671`
    #[arg(long, env = "RABBITMQ_URL")]
    pub rabbitmq_url: Url,
    /// A user with tag `administrator`
    #[arg(long, env = "RABBITMQ_USERNAME")]
    pub rabbitmq_username: String,
    /// Password of the administrator
    #[arg(long, env = "RABBITMQ_PASSWORD", hide_env_values = true)]
    pub rabbitmq_password: SecretString,
    /// Password that the administrator may have instead; then it gets the other one
    #[arg(long, env = "RABBITMQ_PASSWORD_STANDBY", hide_env_values = true)]
    pub rabbitmq_password_standby: Option<SecretString>,
    /// File with the authority of the server's certificate, beside the well-known ones
    #[arg(long, env = "RABBITMQ_CA_FILE")]
    pub rabbitmq_ca_file: Option<PathBuf>,
}

/// Administrator of MinIO.
#[derive(Debug, Clone, Args)]
pub struct S3Admin {
    /// Address, for example `https://lotoai-minio:9000`
    #[arg(long, env = "S3_URL")]
    pub s3_url: Url,
    /// Region that requests are signed for
    #[arg(long, env = "S3_REGION", default_value = "us-east-1")]
    pub s3_region: String,
    /// Root user
    #[arg(long, env = "S3_USERNAME")]
    pub s3_username: String,
    /// Password of the root user
    #[arg(long, env = "S3_PASSWORD", hide_env_values = true)]
    pub s3_password: SecretString,
    /// Password that the root user may have instead; then its servers are on their way to the other one
    #[arg(long, env = "S3_PASSWORD_STANDBY", hide_env_values = true)]
    pub s3_password_standby: Option<SecretString>,
    /// File with the authority of the server's certificate, beside the well-known ones
    #[arg(long, env = "S3_CA_FILE")]
    pub s3_ca_file: Option<PathBuf>,
    /// Whether the bucket's name stands in the path; `false`: before the host
    #[arg(long, env = "S3_PATH_STYLE", default_value_t = true, action = ArgAction::Set)]
    pub s3_path_style: bool,
}

/// Administrator of Keycloak.
#[derive(Debug, Clone, Args)]
pub struct KeycloakAdmin {
    /// Address inside the cluster, for example `https://lotoai-keycloak:8443`
    #[arg(long, env = "KEYCLOAK_URL")]
    pub keycloak_url: Url,
    /// Administrator of realm `master`
    #[arg(long, env = "KEYCLOAK_USERNAME")]
    pub keycloak_username: String,
    /// Password of the administrator
    #[arg(long, env = "KEYCLOAK_PASSWORD", hide_env_values = true)]
    pub keycloak_password: SecretString,
    /// Password that the administrator may have instead; then it gets the other one
    #[arg(long, env = "KEYCLOAK_PASSWORD_STANDBY", hide_env_values = true)]
    pub keycloak_password_standby: Option<SecretString>,
    /// File with the authority of the server's certificate, beside the well-known ones
    #[arg(long, env = "KEYCLOAK_CA_FILE")]
    pub keycloak_ca_file: Option<PathBuf>,
}

/// Administrator of ClickHouse.
#[derive(Debug, Clone, Args)]
pub struct ClickhouseAdmin {
    /// Address, for example `https://lotoai-clickhouse:8443`
    #[arg(long, env = "CLICKHOUSE_URL")]
    pub clickhouse_url: Url,
    /// A user that may create databases
    #[arg(long, env = "CLICKHOUSE_USERNAME")]
    pub clickhouse_username: String,
    /// Password of the user
    #[arg(long, env = "CLICKHOUSE_PASSWORD", hide_env_values = true)]
    pub clickhouse_password: SecretString,
    /// A user that takes turns with it, and is let in too
    #[arg(
        long,
        env = "CLICKHOUSE_USERNAME_STANDBY",
        requires = "clickhouse_password_standby"
    )]
    pub clickhouse_username_standby: Option<String>,
    /// Password of that user
    #[arg(long, env = "CLICKHOUSE_PASSWORD_STANDBY", hide_env_values = true)]
    pub clickhouse_password_standby: Option<SecretString>,
    /// File with the authority of the server's certificate, beside the well-known ones
    #[arg(long, env = "CLICKHOUSE_CA_FILE")]
    pub clickhouse_ca_file: Option<PathBuf>,
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
