//! A PostgreSQL server for one test, if this machine has the programs for it.

mod machine;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use machine::{programs, unprivileged};

pub(crate) struct Server {
    child: Child,
    directory: tempfile::TempDir,
}

/// Starts a server that listens on a socket in its own directory. `None`, with the reason printed,
/// when there is no PostgreSQL here.
pub(crate) fn start() -> Option<Server> {
    let Some(programs) = programs() else {
        println!("SKIPPED: no `postgres` on PATH or in /usr/lib/postgresql/*/bin");
        return None;
    };
    let directory = tempfile::tempdir().unwrap();
    let run = |program: &Path| {
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
    };
    let data = directory.path().join("data");
    let made = run(&programs.join("initdb"))
        .args([
            "--no-sync",
            "--auth=trust",
            "--username=gateway",
            "--encoding=UTF8",
            "-D",
        ])
        .arg(&data)
        .status()
        .unwrap();
    assert!(made.success(), "initdb failed");
    let child = run(Path::new("setpriv"))
        .args(["--pdeathsig", "KILL", "--"])
        .arg(programs.join("postgres"))
        .arg("-D")
        .arg(&data)
        .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
        .arg(directory.path())
        .spawn()
        .unwrap();
    Some(Server { child, directory })
}

impl Server {
    /// A pool on a migrated database, once the server answers.
    pub(crate) async fn pool(&self) -> PgPool {
        let options = PgConnectOptions::new()
            .socket(self.directory.path())
            .username("gateway")
            .database("postgres");
        let deadline = Instant::now() + Duration::from_secs(30);
        let pool = PgPoolOptions::new()
            .max_connections(5)
            .connect_lazy_with(options);
        while let Err(error) = sqlx::query("select 1").execute(&pool).await {
            assert!(
                Instant::now() < deadline,
                "PostgreSQL did not start: {error}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        crate::store::MIGRATIONS.run(&pool).await.unwrap();
        pool
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
}

impl Drop for Server {
    fn drop(&mut self) {
        // What stands still would stay after it.
        if let Ok(None) = self.child.try_wait() {
            self.thaw();
        }
        // It may have been ended by the test already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
