//! What stands before the replicas in a cluster, as far as TCP goes: connections go to the ready ones
//! in turn, and each stays with its replica. Readiness is looked at, as the kubelet does, and not told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::ground::wait_for;
use crate::replica::{self, Replica};

/// How often readiness is looked at. A cluster takes a pod out of its Service when it is told to
/// stop, and needs about as long until every node knows.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// A Service.
pub(crate) struct Balancer {
    /// Where it takes connections.
    pub(crate) address: SocketAddr,
    endpoints: Arc<Endpoints>,
}

#[derive(Default)]
struct Endpoints {
    all: Mutex<Vec<Endpoint>>,
    turn: AtomicUsize,
    refused: Mutex<Vec<String>>,
}

struct Endpoint {
    address: SocketAddr,
    admin: SocketAddr,
    is_ready: bool,
    /// Connections so far.
    taken: usize,
}

impl Balancer {
    /// Begins to take connections, which nobody is there for.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoints = Arc::new(Endpoints::default());
        tokio::spawn(Arc::clone(&endpoints).probe());
        let served = Arc::clone(&endpoints);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(Arc::clone(&served).pass(client));
            }
        });
        Self { address, endpoints }
    }

    /// Adds a replica, and waits until it is taken for ready.
    pub(crate) async fn add(&self, replica: &Replica) {
        let (address, admin) = (replica.address, replica.admin);
        self.endpoints.all.lock().unwrap().push(Endpoint {
            address,
            admin,
            is_ready: false,
            taken: 0,
        });
        let limit = Duration::from_secs(30);
        wait_for("a replica gets ready", limit, async || {
            let all = self.endpoints.all.lock().unwrap();
            all.iter().any(|it| it.address == address && it.is_ready)
        })
        .await;
    }

    /// Connections that went to a replica.
    pub(crate) fn taken(&self, replica: &Replica) -> usize {
        let all = self.endpoints.all.lock().unwrap();
        all.iter()
            .find(|it| it.address == replica.address)
            .map_or(0, |it| it.taken)
    }

    /// Connections that nobody took, and why.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.endpoints.refused.lock().unwrap().clone()
    }
}

impl Endpoints {
    async fn probe(self: Arc<Self>) {
        loop {
            for admin in self.admins() {
                let is_ready = replica::is_ready(admin).await;
                let mut all = self.all.lock().unwrap();
                let probed = all.iter_mut().filter(|it| it.admin == admin);
                probed.for_each(|it| it.is_ready = is_ready);
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    fn admins(&self) -> Vec<SocketAddr> {
        let all = self.all.lock().unwrap();
        all.iter().map(|it| it.admin).collect()
    }

    /// The next one in turn.
    fn choose(&self) -> Option<SocketAddr> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut all = self.all.lock().unwrap();
        let mut ready: Vec<_> = all.iter_mut().filter(|it| it.is_ready).collect();
        let index = turn.checked_rem(ready.len())?;
        let chosen = ready.get_mut(index)?;
        chosen.taken += 1;
        Some(chosen.address)
    }

    async fn pass(self: Arc<Self>, mut client: TcpStream) {
        let Some(address) = self.choose() else {
            return self.refuse("no replica is ready".to_owned());
        };
        match TcpStream::connect(address).await {
            Ok(mut replica) => {
                for stream in [&client, &replica] {
                    stream.set_nodelay(true).unwrap();
                }
                // Where one side is cut, the other is, and the client says so.
                drop(copy_bidirectional(&mut client, &mut replica).await);
            }
            Err(error) => self.refuse(format!("{address}: {error}")),
        }
    }

    fn refuse(&self, why: String) {
        self.refused.lock().unwrap().push(why);
    }
}
