//! What the machine must offer, checked before any work: everything that is wrong is told at once,
//! each with what to do about it.

mod facts;

use std::path::PathBuf;

use self::facts::Facts;
use crate::instance::Instance;
use crate::text::messages;

/// Bytes in a GiB.
const GIB: u64 = 1 << 30;

/// What an instance needs of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// Memory that must be available, in bytes. Not asked of an instance that runs already.
    pub memory: u64,
    /// Free space in the state and in the cache directory, in bytes each; twice as much when both
    /// are in one file system. An instance that has state and programs already needs a fifth.
    pub disk: u64,
    /// Programs that must be there in at least this version.
    pub toolchains: Vec<Toolchain>,
}

/// A program that nothing here can install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The program.
    pub program: &'static str,
    /// Its arguments for printing the version.
    pub arguments: &'static [&'static str],
    /// The oldest version that will do.
    pub at_least: (u32, u32),
    /// How to get it.
    pub fix: String,
}

impl Default for Requirements {
    /// Everything to build the platform from a clone and run it.
    fn default() -> Self {
        let tool = |program, arguments, at_least, fix| Toolchain {
            program,
            arguments,
            at_least,
            fix,
        };
        Self {
            memory: 8 * GIB,
            disk: 15 * GIB,
            toolchains: vec![
                tool(
                    "cargo",
                    &["--version"],
                    (1, 94),
                    messages::install_from("Rust", "https://rustup.rs"),
                ),
                tool(
                    "go",
                    &["version"],
                    (1, 26),
                    messages::install_from("Go", "https://go.dev/dl"),
                ),
                tool(
                    "python3",
                    &["--version"],
                    (3, 11),
                    "apt-get install python3".to_owned(),
                ),
                tool(
                    "node",
                    &["--version"],
                    (20, 19),
                    messages::install_from("Node.js", "https://nodejs.org"),
                ),
                tool("npm", &["--version"], (9, 0), messages::install_npm()),
            ],
        }
    }
}

impl Requirements {
    /// What is left to ask for when everything has been built.
    #[must_use]
    pub fn built() -> Self {
        Self {
            disk: 4 * GIB,
            toolchains: Vec::new(),
            ..Self::default()
        }
    }

    /// Only what a cluster without the platform needs.
    #[must_use]
    pub fn cluster_only() -> Self {
        Self {
            memory: 2 * GIB,
            disk: 4 * GIB,
            toolchains: Vec::new(),
        }
    }
}

/// Something that is wrong with the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was expected and what was found.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// Checks the machine; changes nothing.
///
/// # Errors
/// Everything that is wrong.
pub fn preflight(instance: &Instance, requirements: &Requirements) -> Result<(), Vec<Problem>> {
    let problems = check(&Facts::gather(instance, requirements), requirements);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn check(facts: &Facts, requirements: &Requirements) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_system(facts, &mut problems);
    check_amounts(facts, requirements, &mut problems);
    check_kernel(facts, &mut problems);
    if let Some(taken) = &facts.port_taken {
        problems.add(
            messages::port_taken(taken.port, &taken.by),
            messages::port_fix(),
        );
    }
    for (toolchain, found) in requirements.toolchains.iter().zip(&facts.versions) {
        let (program, (major, minor)) = (toolchain.program, toolchain.at_least);
        match found {
            None => problems.add(
                messages::tool_missing(program, major, minor),
                &toolchain.fix,
            ),
            Some(version) if *version < toolchain.at_least => problems.add(
                messages::tool_old(program, version.0, version.1, major, minor),
                &toolchain.fix,
            ),
            Some(_) => {}
        }
    }
    problems.0
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, message: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Problem {
            message: message.into(),
            fix: fix.into(),
        });
    }
}

fn check_system(facts: &Facts, problems: &mut Problems) {
    if !facts.is_linux_x86 {
        problems.add(messages::not_linux(), messages::not_linux_fix());
    }
    if !facts.is_root {
        problems.add(messages::not_root(), messages::not_root_fix());
    }
    if !facts.has_apt && !facts.missing_packages.is_empty() {
        problems.add(
            messages::no_apt(facts.missing_packages.join(" ")),
            messages::no_apt_fix(),
        );
    }
}

fn check_amounts(facts: &Facts, requirements: &Requirements, problems: &mut Problems) {
    if !facts.is_running && facts.memory < requirements.memory {
        problems.add(
            messages::little_memory(gib(facts.memory), gib(requirements.memory)),
            messages::little_memory_fix(),
        );
    }
    let needed = if facts.is_prepared {
        requirements.disk / 5
    } else {
        requirements.disk
    };
    let mut devices: Vec<&Disk> = facts.disks.iter().collect();
    devices.dedup_by_key(|disk| disk.device);
    for disk in devices {
        let sharing = facts
            .disks
            .iter()
            .filter(|other| other.device == disk.device);
        let needed = needed.saturating_mul(u64::try_from(sharing.count()).unwrap_or(1));
        if disk.free >= needed {
            continue;
        }
        problems.add(
            messages::little_disk(gib(disk.free), disk.path.display(), gib(needed)),
            messages::little_disk_fix(),
        );
    }
}

fn check_kernel(facts: &Facts, problems: &mut Problems) {
    if let Some(cause) = &facts.cgroups_fault {
        problems.add(messages::no_cgroups(cause), messages::no_cgroups_fix());
    }
    if let Some(cause) = &facts.namespaces_fault {
        problems.add(
            messages::no_namespaces(cause),
            messages::no_namespaces_fix(),
        );
    }
    if let Some(cause) = &facts.iptables_fault {
        problems.add(messages::no_iptables(cause), messages::no_iptables_fix());
    }
    if let Some(route) = &facts.overlapping_route {
        problems.add(messages::route_overlaps(route), messages::route_fix());
    }
}

/// A directory and the space in its file system.
#[derive(Clone, Debug)]
struct Disk {
    path: PathBuf,
    free: u64,
    /// Of the file system, so that two directories in one are told once.
    device: u64,
}

/// A port that another program listens on.
#[derive(Clone, Debug)]
struct Taken {
    port: u16,
    /// ` by <program>`, or nothing when it cannot be found out.
    by: String,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown to people with one decimal"
)]
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        let disk = |path: &str| Disk {
            path: PathBuf::from(path),
            free: 100 * GIB,
            device: 1,
        };
        Facts {
            is_linux_x86: true,
            is_root: true,
            has_apt: true,
            missing_packages: vec!["runc".to_owned()],
            is_running: false,
            is_prepared: false,
            memory: 16 * GIB,
            disks: vec![disk("/var/lib/lotoai"), disk("/root/.cache/lotoai")],
            cgroups_fault: None,
            namespaces_fault: None,
            iptables_fault: None,
            overlapping_route: None,
            port_taken: None,
            versions: vec![
                Some((1, 95)),
                Some((1, 26)),
                Some((3, 11)),
                Some((22, 1)),
                Some((10, 0)),
            ],
        }
    }

    fn told(facts: &Facts) -> Vec<String> {
        let problems = check(facts, &Requirements::default());
        assert!(problems.iter().all(|problem| !problem.fix.is_empty()));
        problems
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn a_good_machine_has_no_problems() {
        assert_eq!(told(&good()), Vec::<String>::new());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let mut facts = good();
        facts.is_root = false;
        facts.has_apt = false;
        facts.memory = 3 * GIB;
        facts.cgroups_fault = Some("none is mounted".to_owned());
        facts.namespaces_fault = Some("refused".to_owned());
        facts.iptables_fault = Some("no chain".to_owned());
        facts.overlapping_route = Some("198.18.0.0/16 dev tun0".to_owned());
        facts.port_taken = Some(Taken {
            port: 8443,
            by: " by nginx".to_owned(),
        });
        facts.versions = vec![
            Some((1, 95)),
            Some((1, 25)),
            None,
            Some((20, 0)),
            Some((9, 0)),
        ];
        let told = told(&facts);
        assert_eq!(told.len(), 11, "{told:#?}");
        let has = |text: &str| told.iter().any(|message| message.contains(text));
        assert!(has("3.0 GiB of memory are available; 8.0 GiB are needed"));
        assert!(has("port 8443 of 127.0.0.1 is in use by nginx"));
        assert!(has("go is version 1.25; 1.26 or newer is needed"));
        assert!(has("node is version 20.0; 20.19 or newer is needed"));
        assert!(has("python3 is missing; version 3.11 or newer is needed"));
        assert!(has("there is no apt-get: runc"));
    }

    #[test]
    fn one_full_file_system_is_told_once() {
        let mut facts = good();
        facts.disks.iter_mut().for_each(|disk| disk.free = 20 * GIB);
        let problems = told(&facts);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("30.0 GiB are needed"), "{problems:?}");
        // What is built already need not be built again.
        facts.is_prepared = true;
        assert_eq!(told(&facts).len(), 0);
        // Each directory in a file system of its own needs its own share only.
        facts.is_prepared = false;
        facts.disks[1].device = 2;
        assert_eq!(told(&facts).len(), 0);
    }

    #[test]
    fn a_running_cluster_has_its_memory_already() {
        let mut facts = good();
        facts.memory = GIB;
        facts.is_running = true;
        assert_eq!(told(&facts), Vec::<String>::new());
    }
}
