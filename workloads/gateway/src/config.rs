//! Everything the gateway can be told, all of it by environment.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lotoai_kit::postgres::PostgresArgs;
use lotoai_kit::rabbitmq::RabbitmqArgs;
use lotoai_kit::s3::S3Args;
use lotoai_kit::upstream::OrchestratorArgs;
use lotoai_kit::{CommonArgs, HasCommon};
use secrecy::SecretString;
use url::Url;

use crate::identity::seal::SealingKey;

/// Configuration of the gateway.
#[derive(Debug, Clone, clap::Parser)]
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
    /// Who says who somebody is.
    #[command(flatten)]
    pub oidc: OidcArgs,
    /// URL under which browsers reach the platform, for example `https://ai.example.org`.
    #[arg(long, env = "PUBLIC_URL", value_parser = base_url)]
    pub public_url: Url,
    /// Directory with the built web client.
    #[arg(long, env = "WEB_ROOT", default_value = "/srv/web")]
    pub web_root: PathBuf,
    /// 32 bytes in base64 that seal cookies and stored tokens.
    #[arg(long, env = "SESSION_KEY", value_parser = SealingKey::from_str, hide_env_values = true)]
    pub session_key: SealingKey,
    /// What a request may take and cost.
    #[command(flatten)]
    pub limits: LimitArgs,
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
    #[arg(long = "oidc-issuer", env = "OIDC_ISSUER", value_parser = base_url)]
    pub issuer: Url,
    /// The same realm as the gateway reaches it.
    #[arg(long = "oidc-internal-url", env = "OIDC_INTERNAL_URL", value_parser = base_url)]
    pub internal_url: Url,
    /// Audience that every access token must carry.
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
}

impl LimitArgs {
    /// Longest silence of the orchestrator within an answer.
    pub fn answer_idle(&self) -> Duration {
        Duration::from_secs(self.answer_idle_seconds)
    }

    /// Longest answer.
    pub fn answer_max(&self) -> Duration {
        Duration::from_secs(self.answer_max_seconds)
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
}
