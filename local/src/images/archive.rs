//! Archives in the cache: `<name>-<key>.tar`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use snafu::ResultExt;

use super::error::{FileSnafu, Result};

/// How many archives of one name are kept: the current one and two to go back to.
const KEPT: usize = 3;
/// How long a key is.
const KEY: usize = 12;

/// Where the archive of `name` with `key` is or will be.
pub(crate) fn path(dir: &Path, name: &str, key: &str) -> PathBuf {
    dir.join(format!("{name}-{key}.tar"))
}

/// Marks `archive` as used now, so that it is the last to be removed.
pub(crate) fn touch(archive: &Path) -> Result<()> {
    let touched = fs::File::options()
        .append(true)
        .open(archive)
        .and_then(|file| file.set_modified(SystemTime::now()));
    touched.context(FileSnafu {
        action: "touch",
        path: archive,
    })
}

/// Removes all but the newest archives of `name`.
pub(crate) fn prune(dir: &Path, name: &str) -> Result<()> {
    let read = || FileSnafu {
        action: "read",
        path: dir,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).context(read())? {
        let entry = entry.context(read())?;
        if belongs(&entry.file_name().to_string_lossy(), name) {
            let metadata = entry.metadata().context(read())?;
            found.push((metadata.modified().context(read())?, entry.path()));
        }
    }
    found.sort();
    let surplus = found.len().saturating_sub(KEPT);
    for (_, path) in found.into_iter().take(surplus) {
        fs::remove_file(&path).context(FileSnafu {
            action: "remove",
            path: &path,
        })?;
    }
    Ok(())
}

/// Whether `file` is an archive of exactly `name`: `rag-server-x.tar` is none of `rag`.
fn belongs(file: &str, name: &str) -> bool {
    file.strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_suffix(".tar"))
        .is_some_and(|key| key.len() == KEY && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// How large an archive is, for people.
pub(super) fn size(archive: &Path) -> Result<String> {
    Ok(format!("{} MB", bytes(archive)? / 1_000_000))
}

/// Its bytes: an archive is packed layers and some hundred bytes around each of them.
pub(super) fn bytes(archive: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(archive).context(FileSnafu {
        action: "read",
        path: archive,
    })?;
    Ok(metadata.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_superseded_archives_of_the_same_name_go() {
        let dir = tempfile::tempdir().unwrap();
        let key = |number: usize| format!("{number:012x}");
        for number in 0..5 {
            let archive = path(dir.path(), "base", &key(number));
            fs::write(&archive, "").unwrap();
            let time = SystemTime::now() - Duration::from_secs(100 - number as u64);
            fs::File::options()
                .append(true)
                .open(&archive)
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        let other = path(dir.path(), "base-x", &key(0));
        fs::write(&other, "").unwrap();
        touch(&path(dir.path(), "base", &key(0))).unwrap();
        prune(dir.path(), "base").unwrap();

        let kept: Vec<_> = (0..5)
            .filter(|&number| path(dir.path(), "base", &key(number)).exists())
            .collect();
        assert_eq!(kept, [0, 3, 4]);
        assert!(other.exists());
    }
}
