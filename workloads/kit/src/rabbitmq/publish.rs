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

/// A message for the broker.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Where it goes.
    pub routing_key: &'a str,
    /// Its identity: consumers do the work of one that comes again only once.
    pub message_id: &'a str,
    /// JSON.
    pub body: &'a [u8],
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
        let message = Message {
            routing_key,
            message_id,
            body: &body,
        };
        self.publish_all(&[message]).await.1
    }

    /// Publishes messages in their order and waits for all of them together. Says how many from the
    /// first on are stored, and why the next is not: it and all after it are to be published again.
    pub async fn publish_all(&self, messages: &[Message<'_>]) -> (usize, Result<(), PublishError>) {
        let mut heads = Vec::with_capacity(messages.len());
        let mut refused = Ok(());
        for message in messages {
            match head(message) {
                Ok(head) => heads.push(head),
                Err(error) => {
                    refused = Err(error);
                    break;
                }
            }
        }
        if heads.is_empty() {
            return (0, refused);
        }
        let messages = &messages[..heads.len()];
        let sending = tokio::time::timeout(TIMEOUT, self.send(messages, heads)).await;
        let confirmations = match sending.unwrap_or(Err(PublishError::Unconfirmed)) {
            Ok(confirmations) => confirmations,
            Err(error) => return (0, Err(error)),
        };
        for (stored, (message, confirmation)) in messages.iter().zip(confirmations).enumerate() {
            if let Err(error) = judge(confirmation, message.routing_key) {
                return (stored, Err(error));
            }
        }
        (messages.len(), refused)
    }

    async fn send(
        &self,
        messages: &[Message<'_>],
        heads: Vec<(ShortString, BasicProperties)>,
    ) -> Result<Vec<Confirmation>, PublishError> {
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
        let mut confirms = Vec::with_capacity(messages.len());
        for (message, (key, properties)) in messages.iter().zip(heads) {
            let published =
                channel.basic_publish(exchange.clone(), key, options, message.body, properties);
            confirms.push(published.await.context(BrokenSnafu)?);
        }
        let mut confirmations = Vec::with_capacity(messages.len());
        for confirm in confirms {
            confirmations.push(confirm.await.context(BrokenSnafu)?);
        }
        *slot = Some(channel);
        Ok(confirmations)
    }
}

/// What the broker is told of a message beside its body.
fn head(message: &Message<'_>) -> Result<(ShortString, BasicProperties), PublishError> {
    let size = message.body.len();
    ensure!(size <= MAX_MESSAGE_BYTES, TooLargeSnafu { size });
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type(short("the media type", "application/json")?)
        .with_message_id(short("the message id", message.message_id)?)
        .with_headers(trace_table());
    Ok((short("the routing key", message.routing_key)?, properties))
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
