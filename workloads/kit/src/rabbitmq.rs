//! The message broker: one connection that is made again whenever it breaks, publishing with
//! confirms, consuming with bounded concurrency.

mod connection;
mod consume;
mod publish;

use clap::Args;
use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret, SecretString};
use snafu::Snafu;
use url::Url;

pub use connection::Rabbitmq;
pub use consume::{ConsumeError, Delivery, Outcome};
pub use publish::PublishError;

use crate::Service;

/// The topic exchange that events are published to.
pub const EXCHANGE: &str = "lotoai.events";
/// A longer message is neither published nor handled, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Seconds between heartbeats; a connection is dead after two missed ones.
const HEARTBEAT_SECONDS: u16 = 10;

/// Where the broker is and who we are there.
#[derive(Debug, Clone, Args)]
pub struct RabbitmqArgs {
    /// Address with virtual host, for example `amqp://lotoai-rabbitmq:5672/lotoai`
    #[arg(long, env = "RABBITMQ_URL")]
    pub rabbitmq_url: Url,
    /// User
    #[arg(long, env = "RABBITMQ_USERNAME")]
    pub rabbitmq_username: String,
    /// Password of the user
    #[arg(long, env = "RABBITMQ_PASSWORD", hide_env_values = true)]
    pub rabbitmq_password: SecretString,
}

/// `RABBITMQ_URL` cannot be used.
#[derive(Debug, Snafu)]
#[snafu(display(
    "failed to use RABBITMQ_URL: {reason}; write it as amqp://host:5672/virtual-host"
))]
pub struct AddressError {
    reason: String,
}

impl RabbitmqArgs {
    /// Begins connecting and goes on for ever, in the background. Registers the gate `rabbitmq`,
    /// which is ready while the connection stands.
    ///
    /// # Errors
    /// The address is no AMQP address.
    #[expect(
        clippy::unused_async,
        reason = "like the other clients; connecting may be awaited one day"
    )]
    pub async fn connect(&self, service: &Service) -> Result<Rabbitmq, AddressError> {
        Ok(Rabbitmq::start(self.uri()?, service))
    }

    fn uri(&self) -> Result<AMQPUri, AddressError> {
        let mut uri: AMQPUri = self
            .rabbitmq_url
            .as_str()
            .parse()
            .map_err(|reason| AddressError { reason })?;
        self.rabbitmq_username
            .clone_into(&mut uri.authority.userinfo.username);
        self.rabbitmq_password
            .expose_secret()
            .clone_into(&mut uri.authority.userinfo.password);
        uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
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
    }

    #[test]
    fn another_protocol_is_refused_with_the_fix() {
        let error = args("http://broker/").uri().unwrap_err().to_string();
        assert!(error.contains("write it as amqp://"), "{error}");
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
