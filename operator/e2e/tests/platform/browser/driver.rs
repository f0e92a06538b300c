//! chromedriver, and what is left of it when a test ends.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::ClientBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, geteuid, kill_process, kill_process_group};
use serde_json::json;
use tempfile::TempDir;

use super::WITHIN;
use crate::support::wait_for;

/// chromedriver with its browsers, on a port and in a directory of its own; all of it ends with
/// the test, also when that panics, and with the process of the tests, however that ends.
pub(super) struct Driver {
    child: Child,
    port: u16,
    home: TempDir,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        // They are on their way out; the directory goes after the last of them.
        let begun = Instant::now();
        loop {
            let left = processes_with(self.home.path());
            if left.is_empty() || begun.elapsed() > Duration::from_secs(10) {
                break;
            }
            for process in left {
                let _ = kill_process(process, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Processes whose command line names `directory`: they were started for this test and by nobody
/// else.
fn processes_with(directory: &Path) -> Vec<Pid> {
    let wanted = directory.to_string_lossy();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            String::from_utf8_lossy(&line)
                .contains(&*wanted)
                .then(|| Pid::from_raw(id))?
        })
        .collect()
}

/// The command that chromedriver's arguments follow.
fn chromedriver() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]);
    // A browser leads a group of its own and outlives its driver. With root's rights the driver is
    // the first process of a namespace, and the kernel ends all others in it with that one.
    if geteuid().is_root() {
        command.args(["unshare", "--pid", "--fork", "--kill-child=KILL"]);
        command.args(["--mount-proc", "--"]);
    }
    command.arg("chromedriver");
    command
}

impl Driver {
    pub(super) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        // The name is short because it is a part of the name of a socket.
        let home = TempDir::with_prefix("web-").unwrap();
        let child = chromedriver()
            .arg(format!("--port={port}"))
            // Chromium leaves sockets and profiles wherever it may write.
            .env("TMPDIR", home.path())
            .env("HOME", home.path())
            .env("LANGUAGE", "en")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("setpriv is part of every Linux system");
        Self { child, port, home }
    }

    /// Where its files are, and those of the tests.
    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A browser; those with other profiles know nothing of each other.
    pub(super) async fn client(&self, profile: &str) -> fantoccini::Client {
        let profile = self.home.path().join(profile);
        let options = json!({"goog:chromeOptions": {
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
                "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
                "--window-size=1200,900", "--lang=en",
                format!("--user-data-dir={}", profile.display()),
            ],
            "prefs": {"intl.accept_languages": "en"},
        }, "acceptInsecureCerts": true});
        wait_for("chromedriver", WITHIN, async || {
            // chromedriver is on loopback and speaks plain HTTP.
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(options.as_object().unwrap().clone());
            let url = format!("http://127.0.0.1:{}", self.port);
            builder
                .connect(&url)
                .await
                .map_err(|error| format!("is chromium-driver installed? {error}"))
        })
        .await
    }
}
