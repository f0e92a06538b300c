//! Publishing with confirms.

use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Confirmation};
use snafu::{OptionExt, ResultExt, Snafu, ensure};

use super::{EXCHANGE, MAX_MESSAGE_BYTES, Rabbitmq};
use crate::telemetry;

/// How long a publish may take, waiting for a connection and for the confirm included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// AMQP's delivery mode "persistent".
const PERSISTENT: u8 = 2;

/// Why a message was not stored by the broker.
#[derive(Debug, Snafu)]
pub enum PublishError {
    /// There is no connection, and there will be none: the process stops.
    #[snafu(display("failed to publish: not connected to RabbitMQ"))]
    NotConnected,
    /// A routing key or message id is too long for the protocol.
    #[snafu(display("failed to publish: {what} {value:?} is longer than 255 bytes"))]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The text.
        value: String,
    },
    /// The body is larger than [`MAX_MESSAGE_BYTES`].
    #[snafu(display(
        "failed to publish: the message has {size} bytes, more than {MAX_MESSAGE_BYTES}"
    ))]
    TooLarge {
        /// Size in bytes.
        size: usize,
    },
    /// The broker did not confirm in time. It may have stored the message all the same, so the
    /// consumer may see it twice.
    #[snafu(display("failed to publish: no confirm from RabbitMQ within {} s", TIMEOUT.as_secs()))]
    Unconfirmed,
    /// No queue is bound to the routing key.
    #[snafu(display(
        "failed to publish: no queue takes {routing_key:?}; run `provision rabbitmq`"
    ))]
    Unroutable {
        /// The key.
        routing_key: String,
    },
    /// The broker could not store the message.
    #[snafu(display("failed to publish: RabbitMQ refused the message"))]
    Refused,
    /// The connection or the channel broke.
    #[snafu(display("failed to publish"))]
    Broken {
        /// The cause.
        source: lapin::Error,
    },
}

impl Rabbitmq {
    /// Publishes a persistent JSON message and returns when the broker has stored it in at least
    /// one queue. Publishes of one process take turns.
    ///
    /// # Errors
    /// The message may not have been stored; see [`PublishError`]. Publishing it again is right,
    /// with the same `message_id`.
    pub async fn publish(
        &self,
        routing_key: &str,
        message_id: &str,
        body: Vec<u8>,
    ) -> Result<(), PublishError> {
        let key = short("the routing key", routing_key)?;
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type(short("the media type", "application/json")?)
            .with_message_id(short("the message id", message_id)?)
            .with_headers(trace_table());
        ensure!(
            body.len() <= MAX_MESSAGE_BYTES,
            TooLargeSnafu { size: body.len() }
        );
        let sending = self.send(key, properties, &body);
        let confirmation = tokio::time::timeout(TIMEOUT, sending)
            .await
            .map_err(|_| PublishError::Unconfirmed)??;
        judge(confirmation, routing_key)
    }

    async fn send(
        &self,
        key: ShortString,
        properties: BasicProperties,
        body: &[u8],
    ) -> Result<Confirmation, PublishError> {
        let live = self.live().await.context(NotConnectedSnafu)?;
        let mut slot = live.publisher().await.context(BrokenSnafu)?;
        // Taken out while it is in use: a publish that fails or is given up half-way leaves a
        // channel whose confirms are out of step, and the next one must open another.
        let channel = slot.take().context(NotConnectedSnafu)?;
        let exchange = short("the exchange", EXCHANGE)?;
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let confirm = channel
            .basic_publish(exchange, key, options, body, properties)
            .await
            .context(BrokenSnafu)?;
        let confirmation = confirm.await.context(BrokenSnafu)?;
        *slot = Some(channel);
        Ok(confirmation)
    }
}

fn judge(confirmation: Confirmation, routing_key: &str) -> Result<(), PublishError> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => UnroutableSnafu { routing_key }.fail(),
        Confirmation::Nack(_) | Confirmation::NotRequested => RefusedSnafu.fail(),
    }
}

fn short(what: &'static str, value: &str) -> Result<ShortString, PublishError> {
    ShortString::try_new(value).map_err(|_| PublishError::TooLong {
        what,
        value: value.to_owned(),
    })
}

fn trace_table() -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in telemetry::trace_headers() {
        if let Ok(name) = ShortString::try_new(name) {
            table.insert(name, AMQPValue::LongString(value.into()));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_confirm_without_return_is_success() {
        assert!(judge(Confirmation::Ack(None), "a.b").is_ok());
        assert!(matches!(
            judge(Confirmation::Nack(None), "a.b"),
            Err(PublishError::Refused)
        ));
        assert!(matches!(
            judge(Confirmation::NotRequested, "a.b"),
            Err(PublishError::Refused)
        ));
    }

    #[test]
    fn what_the_protocol_cannot_carry_is_an_error_not_a_panic() {
        let error = short("the message id", &"x".repeat(256)).unwrap_err();
        assert!(matches!(error, PublishError::TooLong { .. }));
        assert!(short("the message id", &"x".repeat(255)).is_ok());
    }
}
