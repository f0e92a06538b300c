//! A PostgreSQL server.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tempfile::TempDir;

use super::machine::{programs, unprivileged};

const USER: &str = "gateway";
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) struct Process {
    child: Child,
    directory: TempDir,
    programs: PathBuf,
}

/// A program that works in the server's directory, as a user that may.
fn run(directory: &TempDir, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // The server refuses to run as root.
    if let Some((user, group)) = unprivileged() {
        std::os::unix::fs::chown(directory.path(), Some(user), Some(group)).unwrap();
        command.uid(user).gid(group);
    }
    command
}

/// The server on its data, which ends with the thread that calls this.
fn serve(directory: &TempDir, programs: &Path) -> Child {
    run(directory, Path::new("setpriv"))
        .args(["--pdeathsig", "QUIT", "--"])
        .arg(programs.join("postgres"))
        .arg("-D")
        .arg(directory.path().join("data"))
        .args(["-c", "listen_addresses=", "-c", "fsync=off"])
        .args(["-c", "max_connections=500"])
        // In its directory, not in the machine's memory, where it would stay.
        .args(["-c", "dynamic_shared_memory_type=mmap", "-k"])
        .arg(directory.path())
        .spawn()
        .unwrap()
}

impl Process {
    /// Starts a server that listens on a socket in its own directory and ends with this thread.
    /// `None`, with the reason printed, when there is no PostgreSQL here.
    pub(super) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("SKIPPED: no `postgres` on PATH or in /usr/lib/postgresql/*/bin");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let made = run(&directory, &programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8"])
            .args(["--username", USER, "-D"])
            .arg(directory.path().join("data"))
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let child = serve(&directory, &programs);
        Some(Self {
            child,
            directory,
            programs,
        })
    }

    /// Waits until it takes connections.
    pub(super) async fn answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = PgConnection::connect_with(&self.options("postgres")).await {
            assert!(
                Instant::now() < deadline,
                "PostgreSQL did not start: {error}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How to connect to one of its databases.
    pub(super) fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new()
            .socket(self.directory.path())
            .username(USER)
            .database(database)
    }

    /// Makes all of its processes stand still: connections stay, and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let server = self.child.id();
        let children = format!("/proc/{server}/task/{server}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let children = children.split_whitespace().map(|it| it.parse().unwrap());
        for process in children.chain([i32::try_from(server).unwrap()]) {
            let process = Pid::from_raw(process).unwrap();
            // One that has ended meanwhile need not be told.
            kill_process(process, signal).ok();
        }
    }

    /// Ends the server as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the data that a crash left, and waits until it takes connections.
    pub(crate) async fn restart(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        self.child = serve(&self.directory, &self.programs);
        while PgConnection::connect_with(&self.options("postgres"))
            .await
            .is_err()
        {
            assert!(Instant::now() < deadline, "PostgreSQL did not start again");
            // It refuses as long as a process of the one before is still at its end.
            if self.child.try_wait().unwrap().is_some() {
                self.child = serve(&self.directory, &self.programs);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been ended by the test already.
        if let Ok(None) = self.child.try_wait() {
            // What stands still would stay after it.
            self.thaw();
            // At once, and yet with its shared memory removed.
            self.signal(Signal::QUIT);
        }
        drop(self.child.wait());
    }
}
