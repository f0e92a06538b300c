//! The directory for temporary files of one run of the tests, so that nothing stays in `/tmp` when
//! a test panics or is killed.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use snafu::ResultExt;

use crate::error::{FileSnafu, Result, SpawnSnafu};

const PREFIX: &str = "lotoai-tests-";
/// Files here are kept in memory: tests that make a database each are twice as fast with it.
const MEMORY: &str = "/dev/shm";
/// What must be free there. The tests that use it take a third of it.
const MEMORY_NEEDED: u64 = 2 << 30;

/// What removes the directory that it is given when its input ends, which it does with the process
/// that holds the other end, however that ends. Servers of the tests end at the same moment and may
/// write a last time.
const JANITOR: &str = r#"read -r _; rm -rf -- "$0"; sleep 2; rm -rf -- "$0""#;

/// Removed with everything in it when it is dropped, and when this process is killed.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    /// Its input is open as long as this is here.
    janitor: Child,
}

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
        let janitor = janitor(&path).context(SpawnSnafu { program: "setsid" })?;
        Ok(Self { path, janitor })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Before anything else: the next level has a directory of the same name.
        drop(self.janitor.kill());
        drop(self.janitor.wait());
        // The next run tries again.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Starts what removes a directory when this process is gone. In a session of its own, because who
/// ends a run often ends its whole group.
fn janitor(path: &Path) -> io::Result<Child> {
    Command::new("setsid")
        .args(["sh", "-c", JANITOR])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
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
    fn a_level_leaves_no_janitor_to_the_next_one() {
        let first = Scratch::new(false).unwrap();
        let (path, janitor) = (first.path().to_owned(), first.janitor.id());
        assert!(is_alive(janitor), "the control");
        drop(first);
        assert!(!path.exists() && !is_alive(janitor));
        let second = Scratch::new(false).unwrap();
        assert_eq!(second.path(), path);
    }

    #[test]
    fn a_process_that_is_gone_leaves_nothing() {
        let path = std::env::temp_dir().join(format!("scratch-janitor-{}", std::process::id()));
        std::fs::create_dir_all(path.join("below")).unwrap();
        let mut janitor = janitor(&path).unwrap();
        assert!(
            path.is_dir(),
            "while the process is there, so is the directory"
        );
        // As when the process is killed.
        drop(janitor.stdin.take());
        assert!(janitor.wait().unwrap().success());
        assert!(!path.exists());
    }

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
