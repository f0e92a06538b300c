//! One process of the platform.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::wire;

/// How long a start may take on a machine that does much else.
const START: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What is shown of the log of a test that failed, in bytes.
const TAIL: usize = 8 * 1024;

/// A running program; it ends with this value.
pub(crate) struct Replica {
    child: Child,
    log: PathBuf,
    /// Where it serves.
    pub(crate) address: SocketAddr,
    /// Where it says whether it is ready.
    pub(crate) admin: SocketAddr,
}

/// An address that nothing listens on, below the ports that the kernel gives to connections, so that
/// none of those takes it meanwhile.
pub(crate) fn free() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (std::process::id() * 61 + next) % 12_000;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A program: cargo puts them all in one place, that of another package when it builds its tests.
fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_gateway")).with_file_name(name);
    assert!(
        program.is_file(),
        "{} is not there: `cargo test --workspace --no-run` builds it",
        program.display()
    );
    program
}

/// Whether the process with this address of its readiness says that it wants requests.
pub(crate) async fn is_ready(admin: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(admin).await else {
        return false;
    };
    let probe = b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n";
    if stream.write_all(probe).await.is_err() {
        return false;
    }
    let answer = wire::answer(stream).await;
    answer.is_ok_and(|(head, _)| head.starts_with("HTTP/1.1 200"))
}

impl Replica {
    /// Starts a program and waits until it is ready.
    pub(crate) async fn start(
        name: &str,
        [address, admin]: [SocketAddr; 2],
        variables: Vec<(&'static str, String)>,
        directory: &Path,
    ) -> Self {
        let log = directory.join(format!("{name}-{}.log", address.port()));
        let file = File::create(&log).unwrap();
        // It ends with the thread that starts it: a killed test leaves nothing.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program(name))
            .env_clear()
            .envs(variables)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut replica = Self {
            child,
            log,
            address,
            admin,
        };
        let deadline = Instant::now() + START;
        while !is_ready(admin).await {
            let ended = replica.child.try_wait().unwrap();
            assert!(ended.is_none(), "{name} ended at its start: {ended:?}");
            assert!(Instant::now() < deadline, "{name} does not get ready");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        replica
    }

    /// Its number among the processes.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop, as the kubelet does.
    pub(crate) fn terminate(&self) {
        let process = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        kill_process(process, Signal::TERM).unwrap();
    }

    /// Ends it without a word, unless it has ended already.
    pub(crate) fn kill(&mut self) {
        drop(self.child.kill());
    }

    /// How it ended, which it must do in time.
    pub(crate) async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end in {limit:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = std::fs::read(&self.log).unwrap_or_default();
            let tail = &log[log.len().saturating_sub(TAIL)..];
            println!(
                "{} ends with:\n{}",
                self.log.display(),
                String::from_utf8_lossy(tail)
            );
        }
    }
}
