//! How control groups are mounted on this machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use snafu::ResultExt;

use super::NEEDED;
use crate::error::{FileSnafu, NoCgroupsSnafu, Result};

/// How the kernel presents control groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One hierarchy per set of controllers (also when a v2 hierarchy without controllers is
    /// mounted beside them).
    V1 { hierarchies: Vec<Hierarchy> },
    /// One hierarchy for all.
    V2 { root: PathBuf },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) root: PathBuf,
    pub(crate) options: Vec<String>,
}

impl Layout {
    /// Of this machine.
    pub(crate) fn detect() -> Result<Self> {
        let path = "/proc/self/mounts";
        let mounts = fs::read_to_string(path).context(FileSnafu {
            action: "read",
            path,
        })?;
        let layout = Self::parse(&mounts);
        let missing = match &layout {
            Some(Self::V2 { root }) => {
                let file = root.join("cgroup.controllers");
                let has = fs::read_to_string(&file).context(FileSnafu {
                    action: "read",
                    path: &file,
                })?;
                missing(has.split_whitespace())
            }
            Some(Self::V1 { hierarchies }) => missing(
                hierarchies
                    .iter()
                    .flat_map(|h| h.options.iter().map(String::as_str)),
            ),
            None => missing(std::iter::empty()),
        };
        match layout {
            Some(layout) if missing.is_empty() => Ok(layout),
            _ => NoCgroupsSnafu { missing }.fail(),
        }
    }

    fn parse(mounts: &str) -> Option<Self> {
        let mut hierarchies = Vec::new();
        let mut unified = None;
        for line in mounts.lines() {
            let fields: Vec<_> = line.split(' ').collect();
            let [_, root, kind, options, ..] = fields[..] else {
                continue;
            };
            let root = PathBuf::from(root);
            match kind {
                "cgroup" => {
                    let options = options.split(',').map(str::to_owned).collect();
                    hierarchies.push(Hierarchy { root, options });
                }
                "cgroup2" if unified.is_none() => unified = Some(root),
                _ => {}
            }
        }
        if hierarchies
            .iter()
            .any(|h| h.options.iter().any(|option| option == "memory"))
        {
            // The runtime makes groups in the v2 hierarchy of a hybrid machine as well.
            hierarchies.extend(unified.map(|root| Hierarchy {
                root,
                options: Vec::new(),
            }));
            return Some(Self::V1 { hierarchies });
        }
        unified.map(|root| Self::V2 { root })
    }

    /// For the start-up line.
    pub(crate) fn version(&self) -> &'static str {
        match self {
            Self::V1 { .. } => "v1",
            Self::V2 { .. } => "v2",
        }
    }

    pub(super) fn roots(&self) -> Vec<&Path> {
        match self {
            Self::V1 { hierarchies } => hierarchies.iter().map(|h| h.root.as_path()).collect(),
            Self::V2 { root } => vec![root],
        }
    }
}

fn missing<'a>(has: impl Iterator<Item = &'a str>) -> Vec<String> {
    let has: BTreeSet<_> = has.collect();
    NEEDED
        .iter()
        .filter(|name| !has.contains(**name))
        .map(|name| (*name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_machine_counts_as_v1() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
            cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let layout = Layout::parse(mounts).unwrap();
        assert_eq!(layout.version(), "v1");
        assert_eq!(layout.roots().len(), 3);
    }

    #[test]
    fn a_unified_machine_counts_as_v2() {
        let mounts = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        let root = PathBuf::from("/sys/fs/cgroup");
        assert_eq!(Layout::parse(mounts), Some(Layout::V2 { root }));
        assert_eq!(Layout::parse("proc /proc proc rw 0 0\n"), None);
    }

    #[test]
    fn missing_controllers_are_named() {
        assert_eq!(missing(["cpu", "io", "pids"].into_iter()), ["memory"]);
    }
}
