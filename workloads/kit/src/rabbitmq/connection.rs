//! The connection and its renewal.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use lapin::options::ConfirmSelectOptions;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionBuilder, ConnectionProperties};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::readiness::Gate;
use crate::{Service, runtime};

/// How long connecting may take.
pub(super) const CONNECT_MILLISECONDS: u64 = 5_000;
/// How long the whole handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often a standing connection is looked at. The broker's own end is seen at once by whoever
/// uses a channel; this only moves the gate.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The message broker. Cheap to clone; all clones share one connection.
#[derive(Debug, Clone)]
pub struct Rabbitmq {
    pub(super) live: watch::Receiver<Option<Arc<Live>>>,
    pub(super) shutdown: CancellationToken,
}

/// A connection that stands, or stood a moment ago.
pub(super) struct Live {
    pub(super) connection: Connection,
    /// The channel for publishing. Publishers take turns: the client library matches returned
    /// messages to confirms by order alone, so two open confirms could swap them.
    publisher: Mutex<Option<Channel>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Live {
    pub(super) fn stands(&self) -> bool {
        self.connection.status().connected()
    }

    /// The publishing slot, with a channel in confirm mode in it.
    pub(super) async fn publisher(
        &self,
    ) -> lapin::Result<tokio::sync::MutexGuard<'_, Option<Channel>>> {
        let mut slot = self.publisher.lock().await;
        if !slot
            .as_ref()
            .is_some_and(|channel| channel.status().connected())
        {
            let channel = self.connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            *slot = Some(channel);
        }
        Ok(slot)
    }
}

impl Rabbitmq {
    pub(super) fn start(uri: AMQPUri, tls: OwnedTLSConfig, service: &Service) -> Self {
        let (sender, live) = watch::channel(None);
        let gate = service.readiness.register("rabbitmq");
        let shutdown = service.shutdown.clone();
        let name = service.name;
        // Renewal ends with the process, not with the first sign of a stop: work that is being
        // finished still publishes and acknowledges.
        let renewal = renew((uri, tls), name, sender, gate, shutdown.clone());
        service.keep_up("rabbitmq", renewal);
        Self { live, shutdown }
    }

    /// The connection, once it stands. `None` when the process stops first.
    pub(super) async fn live(&self) -> Option<Arc<Live>> {
        let mut live = self.live.clone();
        let standing = live.wait_for(|live| live.as_ref().is_some_and(|live| live.stands()));
        // An error means that the renewal has ended.
        standing.await.ok().and_then(|live| live.clone())
    }
}

async fn renew(
    (uri, tls): (AMQPUri, OwnedTLSConfig),
    name: &'static str,
    sender: watch::Sender<Option<Arc<Live>>>,
    gate: Gate,
    shutdown: CancellationToken,
) {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(10))
        .with_jitter()
        .without_max_times();
    let mut waits = backoff.build();
    while !shutdown.is_cancelled() {
        let opened = tokio::select! {
            opened = open(&uri, &tls, name) => opened,
            () = shutdown.cancelled() => return,
        };
        match opened {
            Ok(connection) => {
                waits = backoff.build();
                let live = Arc::new(Live {
                    connection,
                    publisher: Mutex::new(None),
                });
                sender.send_replace(Some(Arc::clone(&live)));
                gate.ready();
                if stand(&live, &shutdown).await {
                    return; // stopped; whoever holds `live` may finish with it
                }
                sender.send_replace(None);
                gate.not_ready("the connection to RabbitMQ broke; connecting again");
                tracing::warn!("the connection to RabbitMQ broke; connecting again");
            }
            Err(reason) => {
                tracing::warn!(reason, "failed to connect to RabbitMQ; trying again");
                gate.not_ready(reason);
            }
        }
        let wait = waits.next().unwrap_or(Duration::from_secs(10));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// True when the process stops, false when the connection has broken.
async fn stand(live: &Live, shutdown: &CancellationToken) -> bool {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return true,
            _ = looks.tick() => if !live.stands() { return false },
        }
    }
}

async fn open(uri: &AMQPUri, tls: &OwnedTLSConfig, name: &str) -> Result<Connection, String> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let builder = ConnectionBuilder::new()
        .map_err(|error| runtime::chain(&error))?
        .with_uri(uri.clone())
        .with_properties(properties)
        .with_tls_config(tls.clone());
    match tokio::time::timeout(HANDSHAKE, builder.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(runtime::chain(&error)),
        Err(_) => Err(format!("no answer within {} s", HANDSHAKE.as_secs())),
    }
}
