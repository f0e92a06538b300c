//! Events to the broker.

use futures::future::BoxFuture;
use lotoai_contracts::events::Event;
use lotoai_kit::rabbitmq::{PublishError, Rabbitmq};

/// Where events go.
pub trait Broker: Send + Sync {
    /// Publishes a message and returns when it is stored.
    fn publish<'a>(
        &'a self,
        name: &'a str,
        id: &'a str,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<(), PublishError>>;
}

impl Broker for Rabbitmq {
    fn publish<'a>(
        &'a self,
        name: &'a str,
        id: &'a str,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<(), PublishError>> {
        Box::pin(Rabbitmq::publish(self, name, id, body))
    }
}

/// Publishes an event under its own name and identity.
pub(crate) async fn publish<E: Event>(broker: &dyn Broker, event: &E) -> Result<(), PublishError> {
    let body = serde_json::to_vec(event).unwrap_or_default();
    broker.publish(E::NAME, &event.id(), body).await
}
