//! Everything the gateway can be told, all of it by environment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use lotoai_kit::postgres::PostgresArgs;
use lotoai_kit::rabbitmq::RabbitmqArgs;
use lotoai_kit::s3::S3Args;
use lotoai_kit::upstream::{ModelServerArgs, OrchestratorArgs};
use lotoai_kit::{CommonArgs, HasCommon};
use secrecy::SecretString;
use url::Url;

use crate::identity::seal::SealingKey;

/// Configuration of the gateway.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "gateway",
    version,
    about = "The front door: sign-in, public APIs, conversations, documents"
)]
pub struct Config {
    /// What every workload takes.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Where conversations, documents and sessions are kept.
    #[command(flatten)]
    pub postgres: PostgresArgs,
    /// Where events go to and come from.
    #[command(flatten)]
    pub rabbitmq: RabbitmqArgs,
    /// Where the bytes of documents are kept.
    #[command(flatten)]
    pub s3: S3Args,
    /// Who answers questions.
    #[command(flatten)]
    pub orchestrator: OrchestratorArgs,
    /// Who turns texts into vectors.
    #[command(flatten)]
    pub model_server: ModelServerArgs,
    /// The model server's embedding model.
    #[arg(long, env = "EMBEDDING_MODEL", default_value = "all-minilm-l6-v2")]
    pub embedding_model: String,
    /// Who says who somebody is.
    #[command(flatten)]
    pub oidc: OidcArgs,
    /// Token of the operator's test question, where the issuer gives it none.
    #[arg(long, env = "PROBE_TOKEN", hide_env_values = true)]
    pub probe_token: Option<SecretString>,
    /// Another such token, while it is made anew.
    #[arg(long, env = "PROBE_TOKEN_STANDBY", hide_env_values = true)]
    pub probe_token_standby: Option<SecretString>,
    /// URL under which browsers reach the platform, for example `https://ai.example.org`.
    #[arg(long, env = "PUBLIC_URL", value_parser = base_url)]
    pub public_url: Url,
    /// Directory with the built web client.
    #[arg(long, env = "WEB_ROOT", default_value = "/srv/web")]
    pub web_root: PathBuf,
    /// 32 bytes in base64 that seal cookies and stored tokens.
    #[arg(long, env = "SESSION_KEY", value_parser = SealingKey::from_str, hide_env_values = true)]
    pub session_key: SealingKey,
    /// Another such key that opens what it sealed, while the key is made anew.
    #[arg(long, env = "SESSION_KEY_STANDBY", value_parser = SealingKey::from_str, hide_env_values = true)]
    pub session_key_standby: Option<SealingKey>,
    /// How long browser sessions last.
    #[command(flatten)]
    pub sessions: SessionArgs,
    /// Budgets and prices, as YAML; without it nothing is limited and no price is known.
    #[arg(long, env = "BUDGETS_FILE")]
    pub budgets_file: Option<PathBuf>,
    /// How long things are kept.
    #[command(flatten)]
    pub retention: RetentionArgs,
    /// What a request may take and cost.
    #[command(flatten)]
    pub limits: LimitArgs,
}

impl Config {
    /// What seals cookies and stored tokens, and opens what either key sealed.
    pub fn sealing_key(&self) -> SealingKey {
        match &self.session_key_standby {
            Some(standby) => self.session_key.clone().beside(standby),
            None => self.session_key.clone(),
        }
    }
}

impl HasCommon for Config {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

/// The identity provider.
#[derive(Debug, Clone, clap::Args)]
pub struct OidcArgs {
    /// Issuer as written in tokens; browsers sign in under it.
    #[arg(long = "oidc-issuer", env = "OIDC_ISSUER", value_parser = Issuer::from_str)]
    pub issuer: Issuer,
    /// The same issuer as the gateway reaches it, where that is not under its own address.
    #[arg(long = "oidc-internal-url", env = "OIDC_INTERNAL_URL", value_parser = base_url)]
    pub internal_url: Option<Url>,
    /// Authority of the issuer's certificate, as PEM; trusted beside the well-known ones.
    #[arg(long = "oidc-ca-file", env = "OIDC_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Audience that every token must carry. Where it is the client id, ID tokens identify people,
    /// because access tokens of many issuers are not meant to be read by us.
    #[arg(long = "oidc-audience", env = "OIDC_AUDIENCE")]
    pub audience: String,
    /// Client id for browser sign-in.
    #[arg(long = "oidc-client-id", env = "OIDC_CLIENT_ID")]
    pub client_id: String,
    /// Client secret for browser sign-in.
    #[arg(
        long = "oidc-client-secret",
        env = "OIDC_CLIENT_SECRET",
        hide_env_values = true
    )]
    pub client_secret: SecretString,
    /// Another one that the issuer may know instead, while it is made anew.
    #[arg(
        long = "oidc-client-secret-standby",
        env = "OIDC_CLIENT_SECRET_STANDBY",
        hide_env_values = true
    )]
    pub client_secret_standby: Option<SecretString>,
    /// Scopes to ask for at sign-in beside `openid`, with spaces between them.
    #[arg(
        long = "oidc-scopes",
        env = "OIDC_SCOPES",
        default_value = "profile email"
    )]
    scopes: String,
    /// Claim with the list of a person's groups.
    #[arg(
        long = "oidc-groups-claim",
        env = "OIDC_GROUPS_CLAIM",
        default_value = "groups"
    )]
    pub groups_claim: String,
    /// Group whose members are administrators here; nobody is when it is empty.
    #[arg(
        long = "oidc-admin-group",
        env = "OIDC_ADMIN_GROUP",
        default_value = "admins"
    )]
    pub admin_group: String,
}

impl OidcArgs {
    /// Authority of the issuer's certificate.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Scopes to ask for beside `openid`.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let scopes = self.scopes.split_whitespace();
        scopes.filter(|scope| *scope != "openid")
    }

    /// Whether people are identified by their ID token and not by their access token.
    pub fn by_id_token(&self) -> bool {
        self.audience == self.client_id
    }
}

/// An issuer, kept as it is written: tokens name it letter by letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

impl FromStr for Issuer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        base_url(text).map(|_| Self(text.to_owned()))
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long browser sessions last.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct SessionArgs {
    /// Seconds without a request after which a session ends, 300 to 604800.
    #[arg(long = "session-idle-seconds", env = "SESSION_IDLE_SECONDS", default_value_t = 3600,
          value_parser = clap::value_parser!(u64).range(300..=604_800))]
    pub idle_seconds: u64,
    /// Seconds after which a session ends, used or not, 300 to 2592000.
    #[arg(long = "session-max-seconds", env = "SESSION_MAX_SECONDS", default_value_t = 36_000,
          value_parser = clap::value_parser!(u64).range(300..=2_592_000))]
    pub max_seconds: u64,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct RetentionArgs {
    /// Days without a question after which a conversation is deleted, 1 to 36500; without it they
    /// are kept until their owner deletes them.
    #[arg(long, env = "CONVERSATION_RETENTION_DAYS",
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub conversation_retention_days: Option<u32>,
    /// Days for which usage by day is kept, 1 to 36500: a year to look back on, and the month that it
    /// is compared with.
    #[arg(long, env = "USAGE_RETENTION_DAYS", default_value_t = 400,
          value_parser = clap::value_parser!(u16).range(1..=36_500))]
    pub usage_retention_days: u16,
}

/// Limits that protect the gateway.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct LimitArgs {
    /// Largest document, in bytes.
    #[arg(long, env = "UPLOAD_MAX_BYTES", default_value_t = 32 * 1024 * 1024)]
    pub upload_max_bytes: u64,
    /// Longest silence of the orchestrator within an answer, in seconds.
    #[arg(long, env = "ANSWER_IDLE_SECONDS", default_value_t = 120)]
    pub answer_idle_seconds: u64,
    /// Longest answer, in seconds.
    #[arg(long, env = "ANSWER_MAX_SECONDS", default_value_t = 600)]
    pub answer_max_seconds: u64,
    /// Most API requests that one replica answers at a time, streams among them.
    #[arg(long, env = "REQUESTS_MAX_CONCURRENT", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub requests_max_concurrent: u32,
}

impl LimitArgs {
    /// Longest silence of the orchestrator within an answer.
    pub fn answer_idle(&self) -> Duration {
        Duration::from_secs(self.answer_idle_seconds)
    }

    /// Longest body of a request: a form with the largest document, and a little more.
    pub fn body_max_bytes(&self) -> usize {
        const REST: u64 = 64 * 1024;
        usize::try_from(self.upload_max_bytes.saturating_add(REST)).unwrap_or(usize::MAX)
    }

    /// Longest answer.
    pub fn answer_max(&self) -> Duration {
        Duration::from_secs(self.answer_max_seconds)
    }

    /// How long what an answer holds is kept for it: longer than the longest answer, so that what
    /// is being answered is never taken for forgotten.
    pub fn answer_lease(&self) -> Duration {
        self.answer_max().saturating_add(Duration::from_secs(60))
    }
}

/// Reads an http(s) URL without query and fragment.
fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must begin with http:// or https:// and name a host".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have neither query nor fragment".into());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("https://localhost:8443", true)]
    #[case("http://lotoai-keycloak:8080/realms/lotoai", true)]
    #[case("localhost:8443", false)]
    #[case("ftp://x", false)]
    #[case("https://x/?a=b", false)]
    #[case("", false)]
    fn base_urls(#[case] text: &str, #[case] accepted: bool) {
        assert_eq!(base_url(text).is_ok(), accepted);
    }

    #[test]
    fn help_explains_every_variable() {
        use clap::CommandFactory as _;

        let faults = lotoai_kit::config_error::unexplained(&Config::command());
        assert_eq!(faults, Vec::<String>::new());
    }

    /// The pages that list them.
    #[test]
    fn every_variable_is_on_a_page() {
        use clap::CommandFactory as _;

        let pages = [
            include_str!("../../../docs/workloads/gateway.md"),
            include_str!("../../../docs/workloads/common.md"),
        ];
        let is_listed = |name: &str| pages.iter().any(|it| it.contains(&format!("`{name}`")));
        let command = Config::command();
        let variables = command.get_arguments().filter_map(clap::Arg::get_env);
        let names = variables.map(|name| name.to_string_lossy().into_owned());
        let missing: Vec<_> = names.filter(|name| !is_listed(name)).collect();
        assert_eq!(missing, Vec::<String>::new());
        assert!(!is_listed("NOT_A_VARIABLE"), "the control");
    }
}
