//! Leaving the machine as it was.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use super::stop::{Haste, stop_all};
use crate::error::Result;
use crate::instance::{Instance, TEST_PREFIX};
use crate::paths;
use crate::progress::Progress;
use crate::sandbox::{remove_dir, unmount_under};
use crate::text::messages;

/// What [`remove`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// What is gone, for a person to read.
    pub removed: Vec<String>,
    /// What stays because other instances or the next start use it, with its place.
    pub kept: Vec<String>,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&messages::removed(self.removed.join(", ")))?;
        if self.kept.is_empty() {
            Ok(())
        } else {
            write!(f, "\n{}", messages::kept(self.kept.join(", ")))
        }
    }
}

/// Stops the cluster and removes it with all its data. Works on a broken or half-removed one, and
/// on one that was never there.
///
/// # Errors
/// When a process cannot be ended or a directory cannot be removed.
pub fn remove(progress: &Progress, instance: &Instance) -> Result<Removed> {
    let _lock = instance.lock()?;
    let stage = progress.stage("remove", &messages::removes(&instance.name));
    let removed = remove_all(progress, instance)?;
    stage.done_with(&removed.removed.join(", "));
    Ok(removed)
}

fn remove_all(progress: &Progress, instance: &Instance) -> Result<Removed> {
    let group = instance.cgroups()?;
    let mut removed = Vec::new();
    let running = group.processes("").len();
    if running > 0 {
        removed.push(messages::processes(running));
    }
    if group.exists() {
        removed.push(messages::control_groups());
    }
    if instance.netns_path().exists() {
        removed.push(messages::network_namespace(instance.handle()));
    }
    stop_all(progress, instance, Haste::Now)?;
    let state = instance.state_dir();
    if state.exists() {
        removed.push(state.display().to_string());
    }
    unmount_under(&state)?;
    remove_dir(&state)?;
    instance.release()?;
    if removed.is_empty() {
        removed.push(messages::nothing_to_remove());
    }
    Ok(Removed {
        removed,
        kept: kept(),
    })
}

fn kept() -> Vec<String> {
    let programs = paths::cache_dir().join("third-party");
    let images = paths::images_dir();
    let mut kept = Vec::new();
    if programs.exists() {
        kept.push(messages::programs_in(programs.display()));
    }
    if images.exists() {
        kept.push(messages::images_in(images.display()));
    }
    kept
}

/// Removes every test instance whose process has ended without doing so, and names them.
///
/// # Errors
/// When one of them cannot be removed.
pub fn reap_stale(progress: &Progress) -> Result<Vec<String>> {
    let mut reaped = Vec::new();
    for name in left_names() {
        let instance = Instance::new(&name)?;
        if instance.is_abandoned() {
            progress.note(&messages::removes_left(&name));
            remove(progress, &instance)?;
            reaped.push(name);
        } else if !has_owner_on_record(&instance) {
            // Looking at it took a slot for it.
            remove(progress, &instance)?;
            reaped.push(name);
        }
    }
    Ok(reaped)
}

fn has_owner_on_record(instance: &Instance) -> bool {
    instance.state_dir().join("instance.json").exists() || test_process_is_alive(&instance.name)
}

/// Test instances are named after the process that made them.
fn test_process_is_alive(name: &str) -> bool {
    let pid = name.strip_prefix(TEST_PREFIX).unwrap_or_default();
    pid.parse::<u32>().is_ok() && Path::new("/proc").join(pid).exists()
}

/// The names of all test instances that left a trace anywhere.
fn left_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let handle = format!("lotoai-{TEST_PREFIX}");
    for (dir, prefix) in [
        (paths::state_root(), TEST_PREFIX),
        (PathBuf::from("/run"), handle.as_str()),
        (PathBuf::from("/run/netns"), handle.as_str()),
    ] {
        let Ok(entries) = fs::read_dir(dir) else {
            continue;
        };
        for entry in entries.filter_map(std::result::Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(prefix) {
                names.insert(name.trim_start_matches("lotoai-").to_owned());
            }
        }
    }
    names
}
