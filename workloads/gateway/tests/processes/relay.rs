//! What stands between a process and one of its far sides: it counts what passes, can kill the
//! process when so much has, and can take the far side away.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use rand::Rng as _;
use rand::rngs::StdRng;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// When a process is killed: at what passes, of all that passes its relays, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kill {
    /// The number of what passes.
    pub(crate) at: u64,
    /// Whether that still arrives.
    pub(crate) arrives: bool,
}

impl Kill {
    /// Nobody is killed.
    pub(crate) const NEVER: Self = Self {
        at: 0,
        arrives: true,
    };
}

/// So many kills at moments of all that pass in a load, one in each part of it.
pub(crate) fn kills(chance: &mut StdRng, moments: u64, count: u64) -> Vec<Kill> {
    let kills: Vec<Kill> = (0..count)
        .map(|part| Kill {
            at: 1 + chance.random_range(part * moments / count..(part + 1) * moments / count),
            arrives: chance.random(),
        })
        .collect();
    println!("of {moments} moments {kills:?}");
    kills
}

/// Counts for several relays what passes, and kills.
#[derive(Debug, Default)]
pub(crate) struct Trigger {
    passed: AtomicU64,
    /// 0 for never.
    at: AtomicU64,
    arrives: AtomicBool,
    victim: AtomicI32,
    /// What it counts holds these bytes; without any it counts everything.
    only: &'static [u8],
}

impl Trigger {
    /// Counts only what holds these bytes.
    pub(crate) fn only(only: &'static [u8]) -> Self {
        Self {
            only,
            ..Self::default()
        }
    }

    /// Counts anew, and kills this process when it is time.
    pub(crate) fn arm(&self, victim: u32, kill: Kill) {
        self.victim
            .store(i32::try_from(victim).unwrap(), Ordering::SeqCst);
        self.arrives.store(kill.arrives, Ordering::SeqCst);
        self.passed.store(0, Ordering::SeqCst);
        self.at.store(kill.at, Ordering::SeqCst);
    }

    /// Kills nobody any more. What has passed since it was armed.
    pub(crate) fn disarm(&self) -> u64 {
        self.at.store(0, Ordering::SeqCst);
        self.passed.load(Ordering::SeqCst)
    }

    /// Counts what passes. Whether it is the one.
    fn strikes(&self, passing: &[u8]) -> bool {
        let only = self.only;
        if !only.is_empty() && !passing.windows(only.len()).any(|part| part == only) {
            return false;
        }
        let passed = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        passed == self.at.load(Ordering::SeqCst)
    }

    fn kill(&self) {
        let victim = Pid::from_raw(self.victim.load(Ordering::SeqCst)).unwrap();
        // It may have ended by itself.
        kill_process(victim, Signal::KILL).ok();
    }
}

/// Where a far side is.
#[derive(Debug, Clone)]
pub(crate) enum Far {
    Port(SocketAddr),
    Socket(PathBuf),
}

impl Far {
    /// The far side with a URL that is hardly more than an address.
    pub(crate) fn of(url: &str) -> Self {
        let (_, rest) = url.split_once("://").unwrap();
        let address = rest.split('/').next().unwrap();
        Self::Port(address.parse().unwrap())
    }
}

/// A relay; it ends with this value.
pub(crate) struct Relay {
    /// Where it takes connections.
    pub(crate) address: SocketAddr,
    is_open: watch::Sender<bool>,
}

impl Relay {
    /// Begins to relay.
    pub(crate) async fn start(far: Far, trigger: Arc<Trigger>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_open, opened) = watch::channel(true);
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let (far, trigger) = (far.clone(), Arc::clone(&trigger));
                let opened = opened.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        biased;
                        () = closed(opened) => {}
                        () = pass(near, far, &trigger) => {}
                    }
                });
            }
        });
        Self { address, is_open }
    }

    /// Ends all connections, and those that come.
    pub(crate) fn cut(&self) {
        self.is_open.send_replace(false);
    }

    /// Relays again.
    pub(crate) fn mend(&self) {
        self.is_open.send_replace(true);
    }
}

async fn closed(mut opened: watch::Receiver<bool>) {
    // An error means that the relay is gone.
    drop(opened.wait_for(|is_open| !is_open).await);
}

async fn pass(near: TcpStream, far: Far, trigger: &Trigger) {
    near.set_nodelay(true).unwrap();
    // A far side that is away is told to the near side as an end.
    match far {
        Far::Port(address) => {
            if let Ok(far) = TcpStream::connect(address).await {
                far.set_nodelay(true).unwrap();
                both(near, far, trigger).await;
            }
        }
        Far::Socket(path) => {
            if let Ok(far) = UnixStream::connect(path).await {
                both(near, far, trigger).await;
            }
        }
    }
}

async fn both(near: TcpStream, far: impl AsyncRead + AsyncWrite, trigger: &Trigger) {
    let (near_out, near_in) = tokio::io::split(near);
    let (far_out, far_in) = tokio::io::split(far);
    tokio::join!(
        carry(near_out, far_in, trigger),
        carry(far_out, near_in, trigger)
    );
}

/// Carries one direction to its end.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    trigger: &Trigger,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let strikes = trigger.strikes(&buffer[..count]);
        let arrives = !strikes || trigger.arrives.load(Ordering::SeqCst);
        if strikes && !arrives {
            trigger.kill();
        }
        if !arrives || to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
        if strikes {
            trigger.kill();
        }
    }
    // The other side may be gone.
    drop(to.shutdown().await);
}
