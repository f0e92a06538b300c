//! Processes that outlive us: started detached, and ended only when they are surely ours.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use snafu::ResultExt;

use crate::error::{DecodeSnafu, FileSnafu, Result, SpawnSnafu, UnstoppableSnafu};
use crate::exec::SYSTEM_PATH;

/// A log longer than this is moved aside when its process starts again.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// One process for ever: a process id alone is reused, together with the time at which the process
/// began and the boot it began in it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// In clock ticks since boot, field 22 of `/proc/<pid>/stat`.
    pub(crate) started: u64,
    pub(crate) boot: String,
}

impl Identity {
    /// Of a process that runs now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, threads, started) = parse_stat(&stat)?;
        // The first thread of a program may be a zombie while others still hold its ports.
        let has_ended = matches!(state, 'Z' | 'X') && threads <= 1;
        (!has_ended).then(|| Self {
            pid,
            started,
            boot: boot_id(),
        })
    }

    /// Of this process.
    pub(crate) fn own() -> Option<Self> {
        Self::of(i32::try_from(std::process::id()).ok()?)
    }

    /// Whether exactly this process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    fn signal(&self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_alive(), Pid::from_raw(self.pid)) {
            // Ended in between: nothing left to tell it.
            let _gone = rustix::process::kill_process(pid, signal);
        }
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// State, number of threads and start time. The second field is the program's name in brackets and may
/// itself hold blanks and brackets, so counting begins after the last closing one.
fn parse_stat(stat: &str) -> Option<(char, u32, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let threads = fields.nth(16)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    Some((state, threads, started))
}

/// What is known of a started process, kept in `<dir>/<name>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(flatten)]
    pub(crate) identity: Identity,
    /// Changes when the process would be started in another way.
    pub(crate) fingerprint: String,
}

/// How to start a process.
#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    /// Its name in messages, logs and process files.
    pub(crate) name: &'static str,
    /// The command line.
    pub(crate) command: Vec<String>,
    /// Put before the command to place it in namespaces.
    pub(crate) prefix: Vec<String>,
    /// `cgroup.procs` files that it is put in first.
    pub(crate) cgroups: Vec<PathBuf>,
    /// Additional environment.
    pub(crate) env: Vec<(String, String)>,
    /// Texts of its configuration files: a change means that it must be started anew.
    pub(crate) config: Vec<String>,
}

impl Daemon {
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        // The prefix names the process whose namespaces are entered, which is new at every start.
        for part in self.command.iter().chain(&self.config) {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hex::encode(&hash.finalize()[..8])
    }
}

/// The process files and logs of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Processes {
    pub(crate) records: PathBuf,
    pub(crate) logs: PathBuf,
}

impl Processes {
    fn record_path(&self, name: &str) -> PathBuf {
        self.records.join(format!("{name}.json"))
    }

    pub(crate) fn log_path(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// What is recorded of `name`, whether or not it still runs.
    pub(crate) fn record(&self, name: &str) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.record_path(name)).ok()?).ok()
    }

    /// The process, if it runs.
    pub(crate) fn alive(&self, name: &str) -> Option<Record> {
        self.record(name)
            .filter(|record| record.identity.is_alive())
    }

    /// Starts the process in its own session, with its output in its log.
    pub(crate) fn spawn(&self, daemon: &Daemon) -> Result<Record> {
        for path in [&self.records, &self.logs] {
            fs::create_dir_all(path).context(FileSnafu {
                action: "create",
                path,
            })?;
        }
        let log_path = self.log_path(daemon.name);
        rotate(&log_path)?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .context(FileSnafu {
                action: "open",
                path: &log_path,
            })?;
        let errors = log.try_clone().context(FileSnafu {
            action: "open",
            path: &log_path,
        })?;
        let words = daemon.prefix.iter().chain(&daemon.command);
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &enter_script(&daemon.cgroups), daemon.name])
            .args(words)
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            .env("HOME", "/root")
            .envs(daemon.env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        let child = command.spawn().context(SpawnSnafu {
            command: daemon.name,
        })?;
        let pid = i32::try_from(child.id()).unwrap_or_default();
        reap(child);
        let identity = Identity::of(pid).unwrap_or(Identity {
            pid,
            started: 0,
            boot: String::new(),
        });
        let record = Record {
            identity,
            fingerprint: daemon.fingerprint(),
        };
        let text = serde_json::to_vec(&record).context(DecodeSnafu {
            what: "the record of a process",
        })?;
        let path = self.record_path(daemon.name);
        fs::write(&path, text).context(FileSnafu {
            action: "write",
            path: &path,
        })?;
        Ok(record)
    }

    /// Ends the process: TERM, and KILL when it is not gone after `patience`. Already gone is fine.
    pub(crate) fn stop(&self, name: &str, patience: Duration) -> Result<()> {
        if let Some(record) = self.record(name) {
            end(name, &record.identity, patience)?;
        }
        let path = self.record_path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context(FileSnafu {
                    action: "remove",
                    path: &path,
                })
            }
            _ => Ok(()),
        }
    }

    /// The end of the log of `name`.
    pub(crate) fn log_tail(&self, name: &str) -> String {
        log_tail(&self.log_path(name)).unwrap_or_default()
    }
}

/// Waits for `child` in the background, so that it is no zombie while this process lives on.
fn reap(mut child: std::process::Child) {
    thread::spawn(move || child.wait());
}

/// A shell line that joins the cgroups, leaves the session and becomes the command.
fn enter_script(cgroups: &[PathBuf]) -> String {
    let mut script = String::from("set -e; ");
    for file in cgroups {
        script.push_str(&format!("echo $$ > '{}'; ", file.display()));
    }
    script.push_str("exec setsid \"$@\"");
    script
}

fn rotate(log: &Path) -> Result<()> {
    if fs::metadata(log).is_ok_and(|meta| meta.len() > LOG_LIMIT) {
        let old = log.with_extension("log.1");
        fs::rename(log, &old).context(FileSnafu {
            action: "move",
            path: log,
        })?;
    }
    Ok(())
}

fn log_tail(path: &Path) -> std::io::Result<String> {
    const TAIL: u64 = 3000;
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().rev().take(12).collect();
    Ok(lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
}

/// The program of a process as it was called; nothing when it has ended.
pub(crate) fn program(pid: i32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = line.split(|byte| *byte == 0).next()?;
    (!first.is_empty()).then(|| String::from_utf8_lossy(first).into_owned())
}

/// Ends one process and waits until it is gone.
pub(crate) fn end(name: &str, identity: &Identity, patience: Duration) -> Result<()> {
    identity.signal(Signal::TERM);
    if gone_within(identity, patience) {
        return Ok(());
    }
    identity.signal(Signal::KILL);
    if gone_within(identity, Duration::from_secs(10)) {
        return Ok(());
    }
    UnstoppableSnafu {
        what: format!("{name} (process {})", identity.pid),
    }
    .fail()
}

fn gone_within(identity: &Identity, limit: Duration) -> bool {
    let begun = Instant::now();
    loop {
        if !identity.is_alive() {
            return true;
        }
        if begun.elapsed() >= limit {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_is_read() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 3 0 777 9 9";
        assert_eq!(parse_stat(stat), Some(('S', 3, 777)));
        assert_eq!(parse_stat("42 (short) S 1"), None);
    }

    /// A program of several threads that ends is a zombie first, and gives its ports back with the last.
    #[test]
    fn a_process_runs_until_its_last_thread_has_ended() {
        let leaves = "import ctypes, threading, time\n\
                      threading.Thread(target=time.sleep, args=(60,)).start()\n\
                      ctypes.CDLL(None).pthread_exit(None)";
        let mut child = Command::new("python3")
            .args(["-c", leaves])
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let identity = Identity::of(pid).unwrap();
        let stat = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let begun = Instant::now();
        while !matches!(parse_stat(&stat()), Some(('Z', _, _))) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", stat());
            thread::sleep(Duration::from_millis(5));
        }
        assert!(identity.is_alive(), "{}", stat());
        child.kill().unwrap();
        assert!(
            gone_within(&identity, Duration::from_secs(20)),
            "{}",
            stat()
        );
        child.wait().unwrap();
    }

    #[test]
    fn a_reused_process_id_is_not_ours() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive());
        let later = Identity {
            started: own.started + 1,
            ..own.clone()
        };
        let other_boot = Identity {
            boot: "another".to_owned(),
            ..own
        };
        assert!(!later.is_alive() && !other_boot.is_alive());
        // Were the identity ignored, this would end the test itself.
        end("recycled", &later, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_process_has_a_program_until_it_ends() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let begun = Instant::now();
        // Until it has become another program, it is a copy of this one.
        while program(pid).as_deref() != Some("sleep") {
            assert!(begun.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(program(pid), None);
    }

    #[test]
    fn a_process_is_started_recorded_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let processes = Processes {
            records: dir.path().join("run"),
            logs: dir.path().join("log"),
        };
        let daemon = Daemon {
            name: "sleeper",
            command: [
                "sh",
                "-c",
                "echo up $EXTRA; trap '' TERM; while :; do sleep 1; done",
            ]
            .map(str::to_owned)
            .to_vec(),
            prefix: Vec::new(),
            cgroups: Vec::new(),
            env: vec![("EXTRA".to_owned(), "yes".to_owned())],
            config: Vec::new(),
        };
        let started = processes.spawn(&daemon).unwrap();
        assert_eq!(processes.alive("sleeper"), Some(started));
        let begun = Instant::now();
        while processes.log_tail("sleeper") != "up yes" {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{}",
                processes.log_tail("sleeper")
            );
            thread::sleep(Duration::from_millis(10));
        }
        processes
            .stop("sleeper", Duration::from_millis(100))
            .unwrap();
        assert_eq!(processes.record("sleeper"), None);
        processes.stop("sleeper", Duration::ZERO).unwrap();
    }

    #[test]
    fn the_fingerprint_follows_command_and_configuration() {
        let daemon = |word: &str, config: &str| Daemon {
            name: "x",
            command: vec!["x".to_owned(), word.to_owned()],
            prefix: Vec::new(),
            cgroups: Vec::new(),
            env: Vec::new(),
            config: vec![config.to_owned()],
        };
        let base = daemon("a", "b").fingerprint();
        assert_eq!(base, daemon("a", "b").fingerprint());
        assert_ne!(base, daemon("ab", "").fingerprint());
        assert_ne!(base, daemon("a", "c").fingerprint());
    }
}
