//! The directory for temporary files of one run of the tests, so that nothing stays in `/tmp` when
//! a test panics or is killed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use snafu::ResultExt;

use crate::error::{FileSnafu, Result};

const PREFIX: &str = "lotoai-tests-";
/// Files here are kept in memory: tests that make a database each are twice as fast with it.
const MEMORY: &str = "/dev/shm";
/// What must be free there. The tests that use it take a third of it.
const MEMORY_NEEDED: u64 = 2 << 30;

/// Removed with everything in it when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes this process's own, and removes those of runs that were killed. In memory when that
    /// is wished for, and there is room.
    pub(crate) fn new(in_memory: bool) -> Result<Self> {
        let (memory, disk) = (PathBuf::from(MEMORY), std::env::temp_dir());
        let left = [&memory, &disk].map(|parent| left_behind(parent, is_alive));
        for left in left.into_iter().flatten() {
            // Another user's cannot be removed, and does no harm.
            let _ = std::fs::remove_dir_all(left);
        }
        let parent = if in_memory && free(&memory) >= MEMORY_NEEDED {
            memory
        } else {
            disk
        };
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        let made = std::fs::create_dir(&path)
            // Like /tmp itself: a PostgreSQL server of the tests runs as another user.
            .and_then(|()| std::fs::set_permissions(&path, Permissions::from_mode(0o1777)));
        made.context(FileSnafu {
            action: "create",
            path: &path,
        })?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next run tries again.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Bytes that may be written there; 0 where it does not exist.
fn free(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(0, |space| space.f_bavail * space.f_frsize)
}

fn is_alive(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

/// The directories of processes that have ended.
fn left_behind(parent: &Path, is_alive: impl Fn(u32) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let process = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix(PREFIX)?.parse::<u32>().ok()
    };
    entries
        .map(|entry| entry.path())
        .filter(|path| process(path).is_some_and(|process| !is_alive(process)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_ended_runs_are_left_behind() {
        let parent = std::env::temp_dir().join(format!("scratch-{}", std::process::id()));
        for name in [
            "lotoai-tests-1",
            "lotoai-tests-2",
            "lotoai-tests-x",
            "other-1",
        ] {
            std::fs::create_dir_all(parent.join(name)).unwrap();
        }
        let left = left_behind(&parent, |process| process == 2);
        assert_eq!(left, [parent.join("lotoai-tests-1")]);
        std::fs::remove_dir_all(&parent).unwrap();
    }
}
