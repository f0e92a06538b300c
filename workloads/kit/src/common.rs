//! Configuration that every workload has.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use url::Url;

use crate::tls::TlsArgs;

/// Before a stop runs out of time, what is still being answered can be told so, and stored. The token
/// that begins a stop is cancelled some seconds into it, when nobody sends requests here any more: three
/// seconds are left of the five.
const FAREWELL: Duration = Duration::from_secs(5);

/// Configuration that every workload has; flattened into its own configuration.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// Address that the workload serves on, for example `0.0.0.0:8080`
    #[arg(long, env = "LISTEN")]
    pub listen: Option<SocketAddr>,

    /// Address of health, readiness and metrics, for example `0.0.0.0:9090`
    #[arg(long, env = "ADMIN_LISTEN", default_value = "0.0.0.0:9090")]
    pub admin_listen: SocketAddr,

    /// Filter of log lines, for example `info` or `info,lotoai_gateway=debug`
    #[arg(long, env = "LOG", default_value = "info", value_parser = crate::telemetry::parse_filter)]
    pub log: String,

    /// Name of the LotoAI resource that this workload belongs to
    #[arg(long, env = "PLATFORM", default_value = "lotoai")]
    pub platform: String,

    /// Seconds that open requests may take after a stop was asked for, 1 to 600
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 25,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub drain_seconds: u64,

    /// OTLP gRPC endpoint for traces and logs, for example `http://collector:4317`
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otel_exporter_otlp_endpoint: Option<Url>,

    /// Certificates of this process and authority of the platform's
    #[command(flatten)]
    pub tls: TlsArgs,
}

impl CommonArgs {
    /// `LISTEN`, or port 8080 on all addresses: what an HTTP workload serves on.
    #[must_use]
    pub fn http_listen(&self) -> SocketAddr {
        self.listen_or(8080)
    }

    /// `LISTEN`, or port 50051 on all addresses: what a gRPC workload serves on.
    #[must_use]
    pub fn grpc_listen(&self) -> SocketAddr {
        self.listen_or(50051)
    }

    fn listen_or(&self, port: u16) -> SocketAddr {
        self.listen
            .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
    }

    /// How long a stop may take in all.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// How long answers may go on after the token of a stop was cancelled.
    #[must_use]
    pub fn answers(&self) -> Duration {
        self.drain().saturating_sub(FAREWELL)
    }
}

/// A configuration that embeds [`CommonArgs`].
pub trait HasCommon {
    /// The embedded part.
    fn common(&self) -> &CommonArgs;
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Config {
        #[command(flatten)]
        common: CommonArgs,
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let common = Config::try_parse_from(["test"]).unwrap().common;
        assert_eq!(common.http_listen(), "0.0.0.0:8080".parse().unwrap());
        assert_eq!(common.grpc_listen(), "0.0.0.0:50051".parse().unwrap());
        assert_eq!(common.admin_listen, "0.0.0.0:9090".parse().unwrap());
        assert_eq!(common.drain(), Duration::from_secs(25));
    }

    #[test]
    fn a_certificate_and_its_key_are_set_together() {
        for (set, missing) in [
            ("--tls-cert-file", "TLS_KEY_FILE"),
            ("--tls-key-file", "TLS_CERT_FILE"),
        ] {
            let error = Config::try_parse_from(["test", set, "/x"]).unwrap_err();
            let command = <Config as clap::CommandFactory>::command();
            let text = crate::config_error::describe(&command, &error);
            let wanted = format!("{missing} is not set; set it: ");
            assert!(text.starts_with(&wanted), "{text}");
        }
        let both = ["test", "--tls-cert-file", "/x", "--tls-key-file", "/y"];
        assert!(Config::try_parse_from(both).is_ok());
    }

    #[test]
    fn listen_wins_over_both_defaults() {
        let common = Config::try_parse_from(["test", "--listen", "127.0.0.1:1"])
            .unwrap()
            .common;
        assert_eq!(common.http_listen().port(), 1);
        assert_eq!(common.grpc_listen().port(), 1);
    }
}
