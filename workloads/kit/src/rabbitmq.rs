//! The message broker: one connection that is made again whenever it breaks, publishing with
//! confirms, consuming with bounded concurrency.

mod connection;
mod consume;
mod publish;

use std::path::PathBuf;

use clap::Args;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret, SecretString};
use snafu::{ResultExt, Snafu};
use url::Url;

pub use connection::Rabbitmq;
pub use consume::{ConsumeError, Delivery, Outcome};
pub use publish::{Message, PublishError};

use crate::Service;
use crate::authority::{self, AuthorityError};

/// The topic exchange that events are published to.
pub const EXCHANGE: &str = "lotoai.events";
/// A longer message is neither published nor handled, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Seconds between heartbeats; a connection is dead after two missed ones.
const HEARTBEAT_SECONDS: u16 = 10;
/// Longest frame, in bytes; a longer message takes several. The client holds 64 of them from the start,
/// which of the 128 KiB that brokers offer would be 8 MiB in every workload.
const FRAME_BYTES: u32 = 16 * 1024;

/// Where the broker is and who we are there.
#[derive(Debug, Clone, Args)]
pub struct RabbitmqArgs {
    /// Address with virtual host, for example `amqps://lotoai-rabbitmq:5671/lotoai`
    #[arg(long, env = "RABBITMQ_URL")]
    pub rabbitmq_url: Url,
    /// User
    #[arg(long, env = "RABBITMQ_USERNAME")]
    pub rabbitmq_username: String,
    /// Password of the user
    #[arg(long, env = "RABBITMQ_PASSWORD", hide_env_values = true)]
    pub rabbitmq_password: SecretString,
    /// File with the authority of the broker's certificate, beside the well-known ones
    #[arg(long, env = "RABBITMQ_CA_FILE")]
    pub rabbitmq_ca_file: Option<PathBuf>,
}

/// The broker cannot be connected to.
#[derive(Debug, Snafu)]
pub enum AddressError {
    /// `RABBITMQ_URL` cannot be used.
    #[snafu(display(
        "failed to use RABBITMQ_URL: {reason}; write it as amqps://host:5671/virtual-host"
    ))]
    Url {
        /// Why.
        reason: String,
    },
    /// `RABBITMQ_CA_FILE` cannot be used.
    #[snafu(display("failed to use RABBITMQ_CA_FILE"))]
    Authority {
        /// The cause.
        source: AuthorityError,
    },
}

impl RabbitmqArgs {
    /// Begins connecting and goes on for ever, in the background. Registers the gate `rabbitmq`,
    /// which is ready while the connection stands.
    ///
    /// # Errors
    /// The address is no AMQP address, or the authority cannot be read.
    #[expect(
        clippy::unused_async,
        reason = "like the other clients; connecting may be awaited one day"
    )]
    pub async fn connect(&self, service: &Service) -> Result<Rabbitmq, AddressError> {
        Ok(Rabbitmq::start(self.uri()?, self.tls()?, service))
    }

    fn tls(&self) -> Result<OwnedTLSConfig, AddressError> {
        let read = |path: &PathBuf| authority::read(path).context(AuthoritySnafu);
        Ok(OwnedTLSConfig {
            identity: None,
            cert_chain: self.rabbitmq_ca_file.as_ref().map(read).transpose()?,
        })
    }

    fn uri(&self) -> Result<AMQPUri, AddressError> {
        let mut uri: AMQPUri = self
            .rabbitmq_url
            .as_str()
            .parse()
            .map_err(|reason| AddressError::Url { reason })?;
        self.rabbitmq_username
            .clone_into(&mut uri.authority.userinfo.username);
        self.rabbitmq_password
            .expose_secret()
            .clone_into(&mut uri.authority.userinfo.password);
        uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
        uri.query.frame_max = Some(FRAME_BYTES);
        uri.query.connection_timeout = Some(connection::CONNECT_MILLISECONDS);
        Ok(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: &str) -> RabbitmqArgs {
        RabbitmqArgs {
            rabbitmq_url: url.parse().unwrap(),
            rabbitmq_username: "gateway".to_owned(),
            rabbitmq_password: "p@ss/word%".into(),
            rabbitmq_ca_file: None,
        }
    }

    #[test]
    fn credentials_are_taken_as_they_are() {
        let uri = args("amqp://broker:5673/lotoai").uri().unwrap();
        assert_eq!(uri.authority.userinfo.password, "p@ss/word%");
        assert_eq!(
            (uri.authority.host.as_str(), uri.authority.port),
            ("broker", 5673)
        );
        assert_eq!(uri.vhost, "lotoai");
        assert_eq!(uri.query.heartbeat, Some(HEARTBEAT_SECONDS));
        assert_eq!(uri.query.frame_max, Some(FRAME_BYTES));
    }

    #[test]
    fn another_protocol_is_refused_with_the_fix() {
        let error = args("http://broker/").uri().unwrap_err().to_string();
        assert!(error.contains("write it as amqps://"), "{error}");
    }

    #[test]
    fn tls_is_spoken_when_the_address_says_so() {
        use lapin::uri::AMQPScheme;
        let scheme = |url: &str| args(url).uri().unwrap().scheme;
        assert_eq!(scheme("amqps://broker/lotoai"), AMQPScheme::AMQPS);
        assert_eq!(scheme("amqp://broker/lotoai"), AMQPScheme::AMQP);
        assert_eq!(args("amqps://broker/x").uri().unwrap().authority.port, 5671);
    }

    #[test]
    fn an_authority_that_is_not_there_is_an_error() {
        let mut args = args("amqps://broker/lotoai");
        args.rabbitmq_ca_file = Some("/nowhere/ca.crt".into());
        let error = args.tls().unwrap_err().to_string();
        assert_eq!(error, "failed to use RABBITMQ_CA_FILE");
    }

    #[tokio::test]
    async fn tls_reaches_the_wire() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = Service::for_tests("test");
        let args = args(&format!("amqps://localhost:{port}/lotoai"));
        let _rabbitmq = args.connect(&service).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut first)
            .await
            .unwrap();
        // A TLS handshake record; AMQP in clear text would begin with an A.
        assert_eq!(first, [22]);
        service.shutdown.cancel();
    }

    /// Why there is no connection, once that is known.
    async fn reason(service: &Service) -> String {
        let known = async {
            loop {
                match service.readiness.reasons().remove("rabbitmq") {
                    Some(reason) if reason != "starting" => return reason,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        let limit = std::time::Duration::from_secs(10);
        tokio::time::timeout(limit, known).await.unwrap()
    }

    #[tokio::test]
    async fn over_tls_the_authority_and_the_name_are_checked() {
        use crate::testing::{Authority, secured};

        let platform = Authority::new("platform");
        platform.issue(&["localhost"]);
        let refusal = async |host: &str, authority: &Authority| {
            let (port, greeted) = secured(platform.certificates(), &[]).await;
            let mut args = args(&format!("amqps://{host}:{port}/lotoai"));
            args.rabbitmq_ca_file = Some(authority.file("ca.crt"));
            let service = Service::for_tests("test");
            let _rabbitmq = args.connect(&service).await.unwrap();
            let result = match greeted.await.unwrap() {
                Ok(first) => Ok(first),
                Err(_) => Err(reason(&service).await),
            };
            service.shutdown.cancel();
            result
        };
        // The first that AMQP says, once the handshake is done.
        assert_eq!(refusal("localhost", &platform).await.unwrap(), b"AMQP");
        let cause = refusal("localhost", &Authority::new("other"))
            .await
            .unwrap_err();
        assert!(cause.contains("UnknownIssuer"), "{cause}");
        let cause = refusal("127.0.0.1", &platform).await.unwrap_err();
        assert!(cause.contains("not valid for name"), "{cause}");
    }

    #[tokio::test]
    async fn without_a_broker_the_gate_stays_shut_and_a_stop_ends_the_connecting() {
        let service = Service::for_tests("test");
        let rabbitmq = args("amqp://127.0.0.1:1/lotoai")
            .connect(&service)
            .await
            .unwrap();
        assert!(service.readiness.reasons().contains_key("rabbitmq"));
        service.shutdown.cancel();
        service.tasks.close();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(5), service.tasks.wait());
        ended.await.unwrap();
        let error = rabbitmq.publish("a.b", "id", Vec::new()).await.unwrap_err();
        assert!(matches!(error, PublishError::NotConnected), "{error:?}");
    }
}
