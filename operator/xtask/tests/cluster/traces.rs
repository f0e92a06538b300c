//! Everything on this machine that tells of a cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lotoai_local::{Instance, state_root};

use crate::support::wait_for;

/// Where a running cluster is always seen.
pub(crate) const PLACES: [&str; 6] = [
    "processes",
    "network namespaces",
    "network devices",
    "mounts",
    "control groups",
    "files",
];

/// A cluster, remembered while it runs: asking for it later would make a claim for it.
#[derive(Debug)]
pub(crate) struct Subject {
    name: String,
    device: String,
    slot: PathBuf,
}

/// Place → what is there.
pub(crate) type Traces = BTreeMap<&'static str, Vec<String>>;

impl Subject {
    pub(crate) fn of(instance: &Instance) -> Self {
        let network = instance.network();
        Self {
            name: instance.name.clone(),
            device: network.host_device.clone(),
            slot: Path::new("/run/lotoai/slots").join(format!("{}.json", network.slot)),
        }
    }

    /// What is there of it now.
    pub(crate) fn traces(&self) -> Traces {
        let mut found = Traces::from([
            ("processes", self.processes()),
            ("network namespaces", self.names_in(Path::new("/run/netns"))),
            ("network devices", self.devices()),
            ("mounts", self.lines(&read("/proc/self/mountinfo"))),
            ("control groups", self.control_groups()),
            ("files", self.files()),
            ("iptables", self.lines(&printed("iptables-save", &[]))),
            (
                "nftables",
                self.lines(&printed("nft", &["list", "ruleset"])),
            ),
        ]);
        found.retain(|_, traces| !traces.is_empty());
        found
    }

    /// Its processes as `<id> <command line>`.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            let file = |name: &str| read(&format!("/proc/{id}/{name}"));
            // One that has ended and is not waited for is left to its parent. The second field is
            // the name in brackets and may hold blanks.
            let stat = file("stat");
            let has_ended = stat
                .rsplit_once(')')
                .is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
            if id.parse::<u32>().is_err() || has_ended {
                continue;
            }
            let line = file("cmdline").replace('\0', " ");
            if mentions(&line, &self.name) || mentions(&file("cgroup"), &self.name) {
                found.push(format!("{id} {}", line.trim()));
            }
        }
        found
    }

    fn devices(&self) -> Vec<String> {
        let is_there = Path::new("/sys/class/net").join(&self.device).exists();
        // Once it is given back, another cluster may have taken the slot and made its device.
        let claim = read(&self.slot.to_string_lossy());
        let is_ours = claim.is_empty() || mentions(&claim, &self.name);
        (is_there && is_ours)
            .then(|| self.device.clone())
            .into_iter()
            .collect()
    }

    fn control_groups(&self) -> Vec<String> {
        let all = hierarchies();
        all.iter().flat_map(|root| self.names_in(root)).collect()
    }

    fn files(&self) -> Vec<String> {
        let mut found: Vec<String> = [state_root(), "/run".into(), "/run/lotoai".into()]
            .iter()
            .flat_map(|dir| self.names_in(dir))
            .collect();
        let slots = fs::read_dir("/run/lotoai/slots").into_iter().flatten();
        let slots = slots.flatten().map(|entry| entry.path());
        found.extend(
            slots
                .map(|path| path.display().to_string())
                .filter(|path| mentions(&read(path), &self.name)),
        );
        found
    }

    /// The paths in `dir` that are named after it.
    fn names_in(&self, dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .filter(|entry| mentions(&entry.file_name().to_string_lossy(), &self.name))
            .map(|entry| entry.path().display().to_string())
            .collect()
    }

    fn lines(&self, text: &str) -> Vec<String> {
        text.lines()
            .filter(|line| mentions(line, &self.name))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until nothing is left; tells what is when the limit passes.
    pub(crate) fn wait_until_gone(&self, limit: Duration) {
        let begun = Instant::now();
        wait_for(&format!("{} to vanish", self.name), limit, || {
            let left = self.traces();
            // What is looked at takes a while itself.
            std::thread::sleep(Duration::from_millis(200));
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{left:#?}"))
            }
        });
        println!(
            "{}: nothing left after {:.1} s",
            self.name,
            begun.elapsed().as_secs_f64()
        );
    }
}

/// Where control groups are mounted.
pub(crate) fn hierarchies() -> Vec<PathBuf> {
    let mounts = read("/proc/self/mounts");
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (point, kind) = (fields.next()?, fields.next()?);
            matches!(kind, "cgroup" | "cgroup2").then(|| point.into())
        })
        .collect()
}

/// The text of a file; nothing when it is not there or has just gone.
fn read(path: &str) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a program prints; nothing where it is not installed.
fn printed(program: &str, arguments: &[&str]) -> String {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// Whether `text` holds `name` and not only a longer name with it inside.
fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(|c| c.is_ascii_alphanumeric()) && !after.is_some_and(is_part)
    })
}

#[test]
fn a_longer_name_is_another() {
    for text in [
        "/run/netns/lotoai-test-12",
        "watch test-12",
        "lotoai-egress-test-12\"",
    ] {
        assert!(mentions(text, "test-12"), "{text}");
    }
    for text in ["test-123", "test-12-b", "latest-12", "test-1"] {
        assert!(!mentions(text, "test-12"), "{text}");
    }
}
