//! What comes from Debian packages.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::error::Result;
use crate::exec::{Run, which};
use crate::progress::Progress;
use crate::text::messages;

/// Everything that running the node and building the images needs.
pub const PACKAGES: &[&str] = &[
    "binutils",
    "buildah",
    "clang",
    "cmake",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "debian-archive-keyring",
    "dpkg",
    "ethtool",
    "findutils",
    "gcc",
    "iproute2",
    "ipset",
    "iptables",
    "libc6-dev",
    "libclang-dev",
    "maven",
    "mmdebstrap",
    "openssl",
    "python3-pip",
    "python3-venv",
    "runc",
    "socat",
    "tar",
    "util-linux",
];

/// What the tests need on top: a browser, and a PostgreSQL server to start for themselves.
pub const TEST_PACKAGES: &[&str] = &["chromium", "chromium-driver", "lua5.4", "postgresql"];

/// Programs that stand for a package when they come from somewhere else, such as a container
/// engine's own repository.
const PROVIDED: [(&str, &str); 10] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("gcc", "cc"),
    ("cmake", "cmake"),
    ("maven", "mvn"),
    ("clang", "clang"),
    ("buildah", "buildah"),
    ("openssl", "openssl"),
    ("chromium", "chromium"),
    ("chromium-driver", "chromedriver"),
];

/// What [`packages`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// Packages that were installed now.
    pub installed: Vec<String>,
}

/// Installs those of the packages `wanted` that are missing, and nothing when all are there.
///
/// # Errors
/// When `apt-get` is missing or fails; the error quotes it.
pub fn packages(progress: &Progress, wanted: &[&str]) -> Result<Installed> {
    let missing = missing_packages(wanted)?;
    if missing.is_empty() {
        return Ok(Installed::default());
    }
    let stage = progress.stage("packages", &messages::installs(missing.join(" ")));
    let tick = |what: String| stage.tick(&what);
    let every = Duration::from_secs(20);
    // Lists that are a little old are no reason to fail: the installation shows whether they do.
    let updated = apt(&["update"]).ok_ticking(every, || tick(messages::reads_lists()));
    if let Err(error) = updated {
        progress.note(&messages::lists_not_refreshed(error));
    }
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(missing.iter().map(String::as_str));
    let policy = NoServices::declare();
    apt(&words).ok_ticking(every, || tick(messages::installs_packages()))?;
    drop(policy);
    stage.done();
    Ok(Installed { installed: missing })
}

/// While it exists, packages start no service: neither containerd's own nor a PostgreSQL server on
/// its well-known port is wanted. A policy that the machine has already is left alone.
struct NoServices(Option<&'static Path>);

impl NoServices {
    fn declare() -> Self {
        let path = Path::new("/usr/sbin/policy-rc.d");
        let made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(path)
            .and_then(|mut file| file.write_all(b"#!/bin/sh\nexit 101\n"));
        Self(made.is_ok().then_some(path))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        // Nothing can be done about a file that cannot be removed.
        let _ = self.0.map(fs::remove_file);
    }
}

fn apt(words: &[&str]) -> Run {
    Run::inheriting("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-q", "-o", "DPkg::Lock::Timeout=120"])
        .args(words)
        .limit(1800)
}

/// Those of the packages `wanted` that are not installed.
pub(crate) fn missing_packages(wanted: &[&str]) -> Result<Vec<String>> {
    let format = "--showformat=${db:Status-Abbrev} ${Package}\\n";
    let printed = Run::new("dpkg-query").args(["--show", format]).ok()?;
    let provided = PROVIDED
        .iter()
        .filter(|(_, program)| which(program).is_some());
    let provided: Vec<_> = provided.map(|(package, _)| *package).collect();
    Ok(difference(wanted, &printed.stdout, &provided))
}

fn difference(wanted: &[&str], installed: &str, provided: &[&str]) -> Vec<String> {
    let installed: BTreeSet<_> = installed
        .lines()
        .filter_map(|line| line.strip_prefix("ii  "))
        .map(str::trim)
        .collect();
    let is_missing = |name: &&&str| !installed.contains(**name) && !provided.contains(*name);
    wanted
        .iter()
        .filter(is_missing)
        .map(|name| (*name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        let installed = "ii  runc\nrc  socat\nii  tar\n";
        let missing = difference(&["runc", "socat", "tar", "maven"], installed, &["maven"]);
        assert_eq!(missing, ["socat"]);
    }

    #[test]
    fn the_list_is_sorted_and_has_no_doubles() {
        for list in [PACKAGES, TEST_PACKAGES] {
            assert!(list.windows(2).all(|pair| pair[0] < pair[1]));
        }
        let is_listed = |name| PACKAGES.contains(name) || TEST_PACKAGES.contains(name);
        assert!(PROVIDED.iter().all(|(package, _)| is_listed(package)));
    }
}
