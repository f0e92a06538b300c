//! Finding out about the machine, without changing it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Disk, Requirements, Taken, Toolchain};
use crate::cgroup::Layout;
use crate::cluster::{DAEMONS, FORWARDER};
use crate::error::chain;
use crate::exec::{Run, which};
use crate::instance::Instance;
use crate::text::messages;
use crate::third_party::ToolPaths;
use crate::{packages, paths};

/// What matters of a machine.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) is_linux_x86: bool,
    pub(super) is_root: bool,
    pub(super) has_apt: bool,
    pub(super) missing_packages: Vec<String>,
    /// The instance's programs run.
    pub(super) is_running: bool,
    /// The instance has state and the programs are built.
    pub(super) is_prepared: bool,
    /// Available memory in bytes.
    pub(super) memory: u64,
    pub(super) disks: Vec<Disk>,
    pub(super) cgroups_fault: Option<String>,
    pub(super) namespaces_fault: Option<String>,
    pub(super) iptables_fault: Option<String>,
    pub(super) overlapping_route: Option<String>,
    pub(super) port_taken: Option<Taken>,
    /// Of every required toolchain in its order.
    pub(super) versions: Vec<Option<(u32, u32)>>,
}

impl Facts {
    pub(super) fn gather(instance: &Instance, requirements: &Requirements) -> Self {
        let is_root = rustix::process::geteuid().is_root();
        let processes = instance.processes();
        let is_running = DAEMONS.iter().any(|name| processes.alive(name).is_some());
        let missing_packages =
            packages::missing_packages(packages::PACKAGES).unwrap_or_else(|_| {
                packages::PACKAGES
                    .iter()
                    .map(|&name| name.to_owned())
                    .collect()
            });
        Self {
            is_linux_x86: cfg!(all(target_os = "linux", target_arch = "x86_64")),
            is_root,
            has_apt: which("apt-get").is_some(),
            missing_packages,
            is_running,
            is_prepared: instance.kubeconfig().exists() && ToolPaths::built().is_ok(),
            memory: available_memory(),
            disks: [paths::state_root(), paths::cache_dir()]
                .iter()
                .filter_map(|d| disk(d))
                .collect(),
            cgroups_fault: cgroups_fault(is_root),
            namespaces_fault: is_root.then(namespaces_fault).flatten(),
            iptables_fault: is_root.then(iptables_fault).flatten(),
            overlapping_route: overlapping_route(&routes()),
            port_taken: port_taken(instance),
            versions: requirements.toolchains.iter().map(version).collect(),
        }
    }
}

fn available_memory() -> u64 {
    parse_meminfo(&fs::read_to_string("/proc/meminfo").unwrap_or_default())
}

fn parse_meminfo(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Of the file system in which `path` is or would be made.
fn disk(path: &Path) -> Option<Disk> {
    let existing = path.ancestors().find(|dir| dir.exists())?;
    let space = rustix::fs::statvfs(existing).ok()?;
    let device = fs::metadata(existing).ok()?.dev();
    Some(Disk {
        path: path.to_owned(),
        free: space.f_bavail * space.f_frsize,
        device,
    })
}

fn cgroups_fault(is_root: bool) -> Option<String> {
    let layout = match Layout::detect() {
        Ok(layout) => layout,
        Err(error) => return Some(chain(&error)),
    };
    let root = match &layout {
        Layout::V1 { hierarchies } => hierarchies.first().map(|h| h.root.clone()),
        Layout::V2 { root } => Some(root.clone()),
    };
    let trial: PathBuf = root?.join(format!("lotoai-trial-{}", std::process::id()));
    if !is_root {
        return None;
    }
    match fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial)) {
        Ok(()) => None,
        Err(error) => Some(format!("{}: {error}", trial.display())),
    }
}

fn namespaces_fault() -> Option<String> {
    let script = "mount -t tmpfs tmpfs /run && { ! command -v ip > /dev/null || \
                  ip link add lotoai-a type veth peer name lotoai-b; }";
    let run = Run::new("unshare").args(["--net", "--mount", "sh", "-c", script]);
    run.ok().err().map(|error| error.to_string())
}

/// Packages that are yet to be installed are no fault.
fn iptables_fault() -> Option<String> {
    which("iptables")?;
    let script = "iptables -w 5 -t nat -A POSTROUTING -m comment --comment x -j MASQUERADE && \
                  iptables -w 5 -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT";
    let run = Run::new("unshare").args(["--net", "sh", "-c", script]);
    run.ok().err().map(|error| error.to_string())
}

fn routes() -> String {
    let run = Run::new("ip").args(["-4", "route", "show", "table", "all"]);
    run.ok().map(|printed| printed.stdout).unwrap_or_default()
}

/// The first route into our block that is not a link of ours.
fn overlapping_route(routes: &str) -> Option<String> {
    let ours = |line: &&str| {
        line.split_whitespace()
            .any(|word| word.starts_with("lotoai"))
    };
    let inside = |line: &&str| {
        let destination = line.split_whitespace().find(|word| word.contains('.'));
        destination.is_some_and(|to| to.starts_with("198.18.") || to.starts_with("198.19."))
    };
    routes
        .lines()
        .filter(inside)
        .find(|line| !ours(line))
        .map(|line| line.trim().to_owned())
}

fn port_taken(instance: &Instance) -> Option<Taken> {
    let port = instance.ports().public_https;
    if instance.processes().alive(FORWARDER).is_some() {
        return None;
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()?;
    let run = Run::new("ss").args(["-Hltnp", &format!("sport = :{port}")]);
    let printed = run.ok().map(|printed| printed.stdout).unwrap_or_default();
    let by = printed
        .split("users:((")
        .nth(1)
        .and_then(|rest| rest.split("))").next());
    Some(Taken {
        port,
        by: by.map(messages::by).unwrap_or_default(),
    })
}

fn version(toolchain: &Toolchain) -> Option<(u32, u32)> {
    let program = which(toolchain.program)?;
    let printed = Run::inheriting(program)
        .args(toolchain.arguments)
        .limit(20)
        .ok()
        .ok()?;
    parse_version(&printed.stdout)
}

/// The first `<number>.<number>` in a text such as `go version go1.26.8 linux/amd64`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let word = word.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut numbers = word.split('.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?;
        let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
        Some((major, digits.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("go version go1.26.8 linux/amd64", Some((1, 26)))]
    #[case("cargo 1.95.0 (f2d3ce0bd 2026-03-21)", Some((1, 95)))]
    #[case("v22.11.0\n", Some((22, 11)))]
    #[case("Python 3.13rc1", Some((3, 13)))]
    #[case("none", None)]
    fn versions(#[case] text: &str, #[case] version: Option<(u32, u32)>) {
        assert_eq!(parse_version(text), version);
    }

    #[test]
    fn available_memory_is_in_bytes() {
        assert_eq!(
            parse_meminfo("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"),
            2 << 20
        );
        assert_eq!(parse_meminfo(""), 0);
    }

    #[test]
    fn our_own_links_do_not_overlap() {
        let routes = "default via 192.0.2.1 dev eth0\n198.18.32.0/30 dev lotoai0 proto kernel\n";
        assert_eq!(overlapping_route(routes), None);
        let routes = "198.18.0.0/16 dev tun0\n";
        assert_eq!(
            overlapping_route(routes).as_deref(),
            Some("198.18.0.0/16 dev tun0")
        );
    }

    #[test]
    fn the_space_of_a_directory_to_be_made_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(&dir.path().join("not/yet")).unwrap();
        assert!(disk.free > 0);
    }
}
