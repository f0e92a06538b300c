//! A process that is measured: started on a core of its own, with what it used of it.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::CpuSet;
use snafu::{OptionExt as _, ResultExt as _, whatever};

use crate::Result;

/// The core of what is measured.
const MEASURED: usize = 0;
/// The core of everything else: driver, far sides, database.
const OTHERS: usize = 1;
/// What the kernel counts processor time in.
const TICKS_PER_SECOND: f64 = 100.0;
/// The kernel's page, in bytes.
const PAGE: u64 = 4096;

/// Puts this process, and what it starts, on the core of the others, with as many open files as it
/// may have: the driver and the far sides are one process, which has both ends of connections.
pub(crate) fn take_place() -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores <= OTHERS {
        whatever!("this needs two cores, one for what is measured, and there is one");
    }
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, most)
        .whatever_context("failed to raise the limit of open files")?;
    pin(None, OTHERS)
}

fn pin(process: Option<Pid>, core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(process, &set)
        .with_whatever_context(|_| format!("failed to move to core {core}"))
}

/// Where a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the core of what is measured.
    Measured,
    /// Beside the driver.
    Beside,
}

/// A running process; it ends with this value.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program with its output in `log`.
    pub(crate) fn start(mut command: Command, place: Place, log: &Path) -> Result<Self> {
        let file = File::create(log).whatever_context("failed to make a log file")?;
        let again = file
            .try_clone()
            .whatever_context("failed to make a log file")?;
        let program = command.get_program().to_owned();
        let failed = |what: &OsStr| format!("failed to start {}", what.display());
        let mut pinned = Command::new("taskset");
        let core = match place {
            Place::Measured => MEASURED,
            Place::Beside => OTHERS,
        };
        // What is killed must not leave what it started.
        pinned
            .args(["--cpu-list", &core.to_string()])
            .args(["setpriv", "--pdeathsig", "KILL", "--"])
            .arg(&program)
            .args(command.get_args())
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::from(file))
            .stderr(Stdio::from(again));
        if let Some(path) = std::env::var_os("PATH") {
            pinned.env("PATH", path);
        }
        if let Some(directory) = command.get_current_dir() {
            pinned.current_dir(directory);
        }
        command = pinned;
        let child = command
            .spawn()
            .with_whatever_context(|_| failed(&program))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// Waits until `is_up` is.
    pub(crate) async fn up(
        &mut self,
        limit: Duration,
        is_up: impl AsyncFn() -> bool,
    ) -> Result<Duration> {
        let begun = Instant::now();
        while !is_up().await {
            let ended = self.child.try_wait().whatever_context("failed to wait")?;
            if ended.is_some() || begun.elapsed() > limit {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let from = log.len().saturating_sub(3000);
                let tail = log.get(from..).unwrap_or(&log);
                whatever!("a program did not come up; {}:\n{tail}", self.log.display());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(begun.elapsed())
    }

    /// Processor time that it and its children used so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let ticks: u64 = family(self.child.id())?.iter().map(|one| one.ticks).sum();
        Ok(Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND))
    }

    /// Resident memory of it and its children, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let pages: u64 = family(self.child.id())?.iter().map(|one| one.pages).sum();
        Ok(pages * PAGE)
    }

    /// The most memory that it ever had resident, without its children, in bytes.
    pub(crate) fn peak(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .whatever_context("a program that is measured has ended")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib = kib.and_then(|kib| kib.trim().parse::<u64>().ok());
        kib.map(|kib| kib * 1024)
            .whatever_context("/proc does not say how much memory a program had at most")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One line of `/proc/*/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    id: u32,
    parent: u32,
    ticks: u64,
    pages: u64,
}

/// A process and all that it started.
fn family(id: u32) -> Result<Vec<Stat>> {
    let mut all: Vec<Stat> = std::fs::read_dir("/proc")
        .whatever_context("failed to read /proc")?
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
        .filter_map(|text| stat(&text))
        .collect();
    let mut family: Vec<Stat> = Vec::new();
    let mut wanted = vec![id];
    while let Some(id) = wanted.pop() {
        if let Some(at) = all.iter().position(|one| one.id == id) {
            family.push(all.swap_remove(at));
        }
        wanted.extend(all.iter().filter(|one| one.parent == id).map(|one| one.id));
    }
    (!family.is_empty())
        .then_some(family)
        .whatever_context("a program that is measured has ended")
}

/// Reads a line; its own time and that of children that have ended.
fn stat(text: &str) -> Option<Stat> {
    // The name may hold anything; the last parenthesis ends it.
    let (head, tail) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = tail.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        id: head.split(' ').next()?.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        ticks: (11..15).map(number).sum::<Option<u64>>()?,
        pages: number(21)?,
    })
}
