//! Control groups of an instance. Every process of an instance is in its group, which makes the
//! group the one reliable answer to "what still runs", whatever was killed before.

mod layout;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use snafu::{ResultExt, ensure};

pub(crate) use self::layout::Layout;
use crate::error::{FileSnafu, Result, UnstoppableSnafu};

/// What the kubelet cannot do without.
const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];
/// Weight against the rest of the machine, where every other process has 1024: a build beside the
/// cluster must not starve it.
const CPU_SHARES: &str = "8192";

/// The group of one instance in every hierarchy.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    layout: Layout,
    name: String,
}

impl Group {
    pub(crate) fn of(name: &str) -> Result<Self> {
        Ok(Self {
            layout: Layout::detect()?,
            name: name.to_owned(),
        })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    fn dirs(&self) -> Vec<PathBuf> {
        self.layout
            .roots()
            .into_iter()
            .map(|root| root.join(&self.name))
            .collect()
    }

    /// Makes the group, with a part for our own processes; the kubelet makes the one for pods.
    pub(crate) fn create(&self) -> Result<()> {
        match &self.layout {
            Layout::V1 { hierarchies } => {
                for hierarchy in hierarchies {
                    let dir = hierarchy.root.join(&self.name);
                    create_dir(&dir.join("system"))?;
                    let is = |name: &str| hierarchy.options.iter().any(|option| option == name);
                    if is("cpuset") {
                        inherit_cpuset(&hierarchy.root, &dir)?;
                    }
                    if is("cpu") {
                        write(&dir.join("cpu.shares"), CPU_SHARES)?;
                    }
                }
                Ok(())
            }
            Layout::V2 { root } => {
                hand_down(root)?;
                let dir = root.join(&self.name);
                create_dir(&dir)?;
                hand_down(&dir)?;
                create_dir(&dir.join("system"))
            }
        }
    }

    /// The files that take a process of ours into the group. On v1 it joins only hierarchies that
    /// count and limit nothing but memory and processes, so that it competes for the processor
    /// like any other process.
    pub(crate) fn entrances(&self) -> Vec<PathBuf> {
        let entrance = |root: &Path| root.join(&self.name).join("system/cgroup.procs");
        match &self.layout {
            Layout::V1 { hierarchies } => hierarchies
                .iter()
                .filter(|h| {
                    h.options
                        .iter()
                        .any(|option| option == "memory" || option == "pids")
                })
                .map(|h| entrance(&h.root))
                .collect(),
            Layout::V2 { root } => vec![entrance(root)],
        }
    }

    /// Every process in the group or, with `part`, in a part of it such as `kubepods`.
    pub(crate) fn processes(&self, part: &str) -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        for dir in self.dirs() {
            collect(&dir.join(part), &mut found);
        }
        found
    }

    /// KILLs everything in the group until nothing is left.
    pub(crate) fn kill(&self, part: &str, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let left = self.processes(part);
            if left.is_empty() {
                return Ok(());
            }
            let what = format!("{} processes of {}: {left:?}", left.len(), self.name);
            ensure!(begun.elapsed() < limit, UnstoppableSnafu { what });
            for pid in left.into_iter().filter_map(Pid::from_raw) {
                // Gone in between is what is wanted.
                let _gone = rustix::process::kill_process(pid, Signal::KILL);
            }
            thread::sleep(Duration::from_millis(30));
        }
    }

    /// Removes the empty group from every hierarchy.
    pub(crate) fn remove(&self) -> Result<()> {
        let begun = Instant::now();
        for dir in self.dirs() {
            // A group is busy for a moment after its last process has gone.
            while let Err(error) = remove_tree(&dir) {
                let late = begun.elapsed() > Duration::from_secs(10);
                if late {
                    return Err(error).context(FileSnafu {
                        action: "remove",
                        path: &dir,
                    });
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// Whether any hierarchy holds it.
    pub(crate) fn exists(&self) -> bool {
        self.dirs().iter().any(|dir| dir.exists())
    }
}

fn collect(dir: &Path, found: &mut BTreeSet<i32>) {
    // A group that vanishes while it is read has no processes.
    let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    found.extend(
        procs
            .lines()
            .filter_map(|line| line.parse::<i32>().ok())
            .filter(|pid| *pid > 0),
    );
    for child in children(dir) {
        collect(&child, found);
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries
        .filter_map(Result::ok)
        .filter(is_dir)
        .map(|entry| entry.path())
        .collect()
}

fn remove_tree(dir: &Path) -> std::io::Result<()> {
    for child in children(dir) {
        remove_tree(&child)?;
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).context(FileSnafu {
        action: "create",
        path,
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(FileSnafu {
        action: "write",
        path,
    })
}

/// A new cpuset is empty, and an empty one accepts no process.
fn inherit_cpuset(root: &Path, dir: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = fs::read_to_string(dir.join(file)).unwrap_or_default();
        if own.trim().is_empty() {
            let from = root.join(file);
            let all = fs::read_to_string(&from).context(FileSnafu {
                action: "read",
                path: &from,
            })?;
            write(&dir.join(file), all.trim())?;
        }
    }
    Ok(())
}

/// v2: lets the groups below `dir` use every controller that `dir` itself has. A group that is not
/// the machine's root may do so only when it holds no processes, as is the case inside a container:
/// they move to a group beside ours first.
fn hand_down(dir: &Path) -> Result<()> {
    let path = dir.join("cgroup.controllers");
    let has = fs::read_to_string(&path).context(FileSnafu {
        action: "read",
        path: &path,
    })?;
    let path = dir.join("cgroup.subtree_control");
    let on = fs::read_to_string(&path).context(FileSnafu {
        action: "read",
        path: &path,
    })?;
    let on: BTreeSet<_> = on.split_whitespace().collect();
    let off: Vec<_> = has
        .split_whitespace()
        .filter(|name| !on.contains(name))
        .collect();
    let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    // Before any controller: a threaded one, such as cpu, is accepted with processes present and
    // then bars the way for the others. Only the machine's own root has no `cgroup.type`.
    if !off.is_empty() && !procs.trim().is_empty() && dir.join("cgroup.type").exists() {
        move_processes(dir)?;
    }
    for controller in off {
        let written = fs::write(&path, format!("+{controller}"));
        if NEEDED.contains(&controller) {
            written.context(FileSnafu {
                action: "write",
                path: &path,
            })?;
        }
    }
    Ok(())
}

fn move_processes(dir: &Path) -> Result<()> {
    let aside = dir.join("init");
    create_dir(&aside)?;
    let path = dir.join("cgroup.procs");
    let pids = fs::read_to_string(&path).context(FileSnafu {
        action: "read",
        path: &path,
    })?;
    for pid in pids.lines() {
        // Kernel threads cannot move and need not.
        let _stays = fs::write(aside.join("cgroup.procs"), pid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_found_in_every_part() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let group = Group {
            layout: Layout::V2 { root: root.clone() },
            name: "x".to_owned(),
        };
        for (part, procs) in [
            ("x", "1\n"),
            ("x/system", "2\n3\n"),
            ("x/kubepods/a", "4\n"),
        ] {
            fs::create_dir_all(root.join(part)).unwrap();
            fs::write(root.join(part).join("cgroup.procs"), procs).unwrap();
        }
        assert_eq!(group.processes(""), BTreeSet::from([1, 2, 3, 4]));
        assert_eq!(group.processes("kubepods"), BTreeSet::from([4]));
        assert_eq!(group.processes("absent"), BTreeSet::new());
    }
}
