//! What the processes of a test stand on: a database of its own, and stand-ins for everything else.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lotoai_contracts::events::UsageRecorded;
use sqlx::PgPool;
use sqlx::Row as _;
use tempfile::TempDir;
use wiremock::MockServer;

use crate::broker;
use crate::client::Client;
use crate::environment::{self, Sides};
use crate::keys::{Signer, realm};
use crate::orchestrator::{self, Seen};
use crate::postgres::Database;
use crate::relay::{Far, Relay, Trigger};
use crate::replica::{Replica, free};

/// The far sides. A test may put something before one of them by another address.
pub(crate) struct Ground {
    /// What the orchestrator has seen.
    pub(crate) seen: Arc<Seen>,
    /// The orchestrator, as a URL.
    pub(crate) orchestrator: String,
    /// The broker, as a URL.
    pub(crate) rabbitmq: String,
    /// The events that the broker has for good, by their ids, and how often each came.
    pub(crate) published: Arc<Mutex<HashMap<String, usize>>>,
    /// The database, as a URL.
    pub(crate) postgres: String,
    /// A way to the database beside that of the processes.
    pub(crate) pool: PgPool,
    signer: Signer,
    realm: MockServer,
    directory: TempDir,
}

impl Ground {
    /// On this database.
    pub(crate) async fn new(database: &Database) -> Self {
        let signer = Signer::ec("key-1");
        let realm = realm(&[&signer]).await;
        let (orchestrator, seen) = orchestrator::start().await;
        let pool = database.pool();
        let options = pool.connect_options();
        let socket = options.get_socket().unwrap().display().to_string();
        let name = options.get_database().unwrap();
        let published = Arc::<Mutex<HashMap<String, usize>>>::default();
        let stored = Arc::clone(&published);
        let broker = broker::start(move |id, body, outlives| {
            if outlives {
                let mut stored = stored.lock().unwrap();
                for id in events(id, body) {
                    *stored.entry(id).or_default() += 1;
                }
            }
        });
        Self {
            seen,
            orchestrator,
            rabbitmq: broker.await.unwrap(),
            published,
            postgres: format!("postgres:///{name}?host={socket}&sslmode=disable"),
            pool,
            signer,
            realm,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// Starts a replica of the gateway, told so much more than where everything is, and waits until it
    /// is ready.
    pub(crate) async fn replica(&self, more: &[(&'static str, &str)]) -> Replica {
        let addresses = [free(), free()];
        let [listen, admin] = addresses;
        let mut variables = environment::variables(&Sides {
            listen,
            admin,
            postgres: &self.postgres,
            rabbitmq: &self.rabbitmq,
            orchestrator: &self.orchestrator,
            realm: &self.realm.uri(),
        });
        let more = more
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        variables.extend(more);
        self.start("gateway", addresses, variables).await
    }

    /// Starts a program of the platform, told so much, and waits until it is ready.
    pub(crate) async fn start(
        &self,
        name: &str,
        addresses: [SocketAddr; 2],
        variables: Vec<(&'static str, String)>,
    ) -> Replica {
        Replica::start(name, addresses, variables, self.directory.path()).await
    }

    /// Writes a file for the processes; its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let file = self.directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    /// A person who asks at an address.
    pub(crate) fn client(&self, address: SocketAddr, subject: &str) -> Client {
        Client {
            address,
            token: self.signer.token(subject, &[]),
        }
    }

    /// The number that a query gives.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        let [number] = self.numbers(query).await;
        number
    }

    /// The numbers in the one row of a query.
    pub(crate) async fn numbers<const N: usize>(&self, query: &'static str) -> [i64; N] {
        let row = sqlx::query(query).fetch_one(&self.pool).await.unwrap();
        std::array::from_fn(|column| row.get(column))
    }
}

/// A relay before a database, and the URL of the database behind it.
pub(crate) async fn behind(pool: &PgPool, trigger: &Arc<Trigger>) -> (Relay, String) {
    let options = pool.connect_options();
    let socket = format!(".s.PGSQL.{}", options.get_port());
    let socket = options.get_socket().unwrap().join(socket);
    let relay = Relay::start(Far::Socket(socket), Arc::clone(trigger)).await;
    let name = options.get_database().unwrap();
    let url = format!("postgres://{}/{name}?sslmode=disable", relay.address);
    (relay, url)
}

/// Waits for what comes within `limit` or not at all.
pub(crate) async fn wait_for(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) {
    let deadline = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The ids of the events of a message: records of usage come together.
fn events(id: &str, body: &[u8]) -> Vec<String> {
    match UsageRecorded::of_message(body) {
        Ok(records) => records.into_iter().map(|record| record.run_id).collect(),
        Err(_) => vec![id.to_owned()],
    }
}
