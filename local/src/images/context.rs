//! Build contexts: directories that hold exactly what an image is made of, and their hashes.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use snafu::ResultExt;

use super::error::{FileSnafu, Result};

/// Text files and archives of gigabytes alike are read in pieces of this size.
const PIECE: usize = 1024 * 1024;

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn file_hash(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    add_file(&mut hash, path)?;
    Ok(hex::encode(hash.finalize()))
}

/// What an image is made of, gathered into one key.
#[derive(Debug)]
pub(crate) struct Key {
    hash: Sha256,
}

impl Key {
    /// `recipe` changes whenever the same inputs have to give another image.
    pub(crate) fn new(recipe: &str) -> Self {
        let mut key = Self {
            hash: Sha256::new(),
        };
        key.text(recipe);
        key
    }

    /// A piece of text.
    pub(crate) fn text(&mut self, text: &str) {
        self.hash.update(text.len().to_le_bytes());
        self.hash.update(text.as_bytes());
    }

    /// Every file under `dir`: its path, whether it may be run, and its content.
    pub(crate) fn tree(&mut self, dir: &Path) -> Result<()> {
        for path in files(dir)? {
            let name = path.strip_prefix(dir).unwrap_or(&path);
            self.text(&name.to_string_lossy());
            let metadata = fs::symlink_metadata(&path).context(FileSnafu {
                action: "read",
                path: &path,
            })?;
            if metadata.is_symlink() {
                let to = fs::read_link(&path).context(FileSnafu {
                    action: "read",
                    path: &path,
                })?;
                self.text(&to.to_string_lossy());
                continue;
            }
            let runs = metadata.permissions().mode() & 0o111 != 0;
            self.hash.update([u8::from(runs)]);
            self.hash.update(metadata.len().to_le_bytes());
            add_file(&mut self.hash, &path)?;
        }
        Ok(())
    }

    /// Twelve hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        hex::encode(self.hash.finalize()).chars().take(12).collect()
    }
}

fn add_file(hash: &mut Sha256, path: &Path) -> Result<()> {
    let read = || FileSnafu {
        action: "read",
        path,
    };
    let mut file = fs::File::open(path).context(read())?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece).context(read())?;
        if length == 0 {
            return Ok(());
        }
        hash.update(piece.get(..length).unwrap_or_default());
    }
}

/// What Python leaves beside its sources; it is part of no image.
const LEFTOVERS: &str = "__pycache__";

/// Every file and symbolic link under `dir`, in a fixed order.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let read = || FileSnafu {
        action: "read",
        path: dir,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).context(read())? {
        let entry = entry.context(read())?;
        if entry.file_name() == LEFTOVERS {
            continue;
        }
        if entry.file_type().context(read())?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Puts everything under `from` into `to`; content is shared where the file system allows it.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for path in files(from)? {
        let name = path.strip_prefix(from).unwrap_or(&path);
        copy_file(&path, &to.join(name))?;
    }
    Ok(())
}

/// Puts the file `from` at `to`, as a hard link where possible.
pub(crate) fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        create_dir(parent)?;
    }
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(error).context(FileSnafu {
                action: "create",
                path: to,
            })
        }
        // Another file system, or one without hard links.
        Err(_) => {
            fs::copy(from, to).context(FileSnafu {
                action: "create",
                path: to,
            })?;
            Ok(())
        }
    }
}

/// Makes `dir` and the directories above it.
pub(crate) fn create_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).context(FileSnafu {
        action: "create",
        path: dir,
    })
}

/// Removes `dir` with everything in it; one that does not exist is as good as removed.
pub(crate) fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context(FileSnafu {
            action: "remove",
            path: dir,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dir: &Path) -> String {
        let mut key = Key::new("1");
        key.tree(dir).unwrap();
        key.finish()
    }

    #[test]
    fn the_key_follows_content_names_and_modes_but_not_times() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/b");
        create_dir(&dir.path().join("a")).unwrap();
        fs::write(&file, "one").unwrap();
        let first = key(dir.path());
        assert_eq!(first.len(), 12);
        fs::write(&file, "one").unwrap();
        assert_eq!(key(dir.path()), first);

        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let runnable = key(dir.path());
        assert_ne!(runnable, first);
        fs::write(&file, "two").unwrap();
        let changed = key(dir.path());
        assert_ne!(changed, runnable);
        fs::rename(&file, dir.path().join("a/c")).unwrap();
        assert_ne!(key(dir.path()), changed);
    }

    #[test]
    fn a_copied_tree_has_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        create_dir(&from.join("deep")).unwrap();
        fs::write(from.join("deep/file"), "text").unwrap();
        std::os::unix::fs::symlink("deep/file", from.join("link")).unwrap();
        copy_tree(&from, &to).unwrap();
        assert_eq!(key(&from), key(&to));
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = Key::new("1").tree(Path::new("/nonexistent/x")).unwrap_err();
        assert_eq!(error.to_string(), "failed to read /nonexistent/x");
    }
}
