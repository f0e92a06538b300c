//! Locks between processes: advisory locks on files, released by the kernel when the holder ends.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use snafu::ResultExt;

use crate::error::{FileSnafu, LockedSnafu, Result};

/// Held until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock at `path`, waiting at most `limit`; `waiting` is called once if it must wait.
pub(crate) fn take(path: &Path, limit: Duration, waiting: impl FnOnce()) -> Result<Lock> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).context(FileSnafu {
            action: "create",
            path: dir,
        })?;
    }
    let begun = Instant::now();
    let mut waiting = Some(waiting);
    loop {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .context(FileSnafu {
                action: "open",
                path,
            })?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // The last holder may have removed the file after it was opened here: a lock on it
            // would keep nobody out.
            Ok(()) if is_still(&file, path) => return Ok(Lock { _file: file }),
            Ok(()) => continue,
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(errno) => {
                return Err(errno.into()).context(FileSnafu {
                    action: "lock",
                    path,
                });
            }
        }
        if let Some(tell) = waiting.take() {
            tell();
        }
        if begun.elapsed() > limit {
            return LockedSnafu {
                path,
                seconds: limit.as_secs(),
            }
            .fail();
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn is_still(file: &File, path: &Path) -> bool {
    let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
    let (held, there) = (
        file.metadata().map(identity),
        fs::metadata(path).map(identity),
    );
    matches!((held, there), (Ok(held), Ok(there)) if held == there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_second_taker_waits_and_gives_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/lock");
        let held = take(&path, Duration::ZERO, || {}).unwrap();
        let mut told = false;
        let error = take(&path, Duration::ZERO, || told = true).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }) && told);
        drop(held);
        take(&path, Duration::ZERO, || {}).unwrap();
    }

    #[test]
    fn a_removed_file_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = take(&path, Duration::ZERO, || {}).unwrap();
        assert!(is_still(&held._file, &path));
        fs::remove_file(&path).unwrap();
        assert!(!is_still(&held._file, &path));
        // The new file is another one, so nobody holds it.
        take(&path, Duration::ZERO, || {}).unwrap();
        assert!(!is_still(&held._file, &path));
    }
}
