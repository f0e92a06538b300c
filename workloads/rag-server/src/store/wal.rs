//! The library appends every operation to a write-ahead log, but neither replays nor shortens it.
//! We flush after every write, so the log is never needed; without care it would fill the volume.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Closed files of the log that make it worth closing the store for a moment, each 32 MiB.
const MANY: usize = 8;

/// True when the log should be shortened.
pub(super) fn is_long(shard: &Path) -> io::Result<bool> {
    Ok(closed(shard)?.len() >= MANY)
}

/// Removes the closed files of the log but the newest, which holds the number that the log goes on
/// counting from: operations are ordered by it, and it must never fall. Only safe while the log is
/// not open. Gives the number of files removed.
pub(super) fn shorten(shard: &Path) -> io::Result<usize> {
    let mut closed = closed(shard)?;
    closed.pop();
    for path in &closed {
        fs::remove_file(path)?;
    }
    Ok(closed.len())
}

/// Closed files, oldest first.
fn closed(shard: &Path) -> io::Result<Vec<PathBuf>> {
    let directory = shard.join("wal");
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut closed = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let start = name.to_str().and_then(|name| name.strip_prefix("closed-"));
        if let Some(start) = start.and_then(|start| start.parse::<u64>().ok()) {
            closed.push((start, entry.path()));
        }
    }
    closed.sort();
    Ok(closed.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_closed_file_and_the_open_one_stay() {
        let shard = tempfile::tempdir().unwrap();
        let wal = shard.path().join("wal");
        fs::create_dir(&wal).unwrap();
        for name in [
            "closed-0",
            "closed-9",
            "closed-100",
            "open-7",
            "first-index",
        ] {
            fs::write(wal.join(name), "").unwrap();
        }
        assert_eq!(shorten(shard.path()).unwrap(), 2);
        let mut left: Vec<_> = fs::read_dir(&wal)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["closed-100", "first-index", "open-7"]);
    }

    #[test]
    fn a_new_store_has_no_log() {
        assert_eq!(shorten(tempfile::tempdir().unwrap().path()).unwrap(), 0);
    }
}
