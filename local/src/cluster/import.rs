//! Giving image archives to the node.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use snafu::{OptionExt, ResultExt};

use super::config::{BASE_IMAGE, COREDNS_IMAGE, PAUSE_IMAGE};
use crate::error::{DecodeSnafu, NoImageSnafu, NotAnArchiveSnafu, Result};
use crate::exec::Run;
use crate::instance::{Instance, write_file};
use crate::paths;
use crate::progress::Progress;
use crate::text::messages;

/// Unpacking a large image on a busy machine.
const IMPORT_LIMIT: u64 = 600;

/// What [`import_images`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Archives that were imported.
    pub imported: Vec<PathBuf>,
    /// Archives whose images the node has already.
    pub skipped: Vec<PathBuf>,
}

/// What the node knows of an archive that was imported: its images by name, with their digests.
type Known = BTreeMap<String, BTreeMap<String, String>>;

/// Imports OCI or Docker image archives into the node, but for those whose images it has already.
///
/// # Errors
/// When a file is no image archive or the node's container runtime refuses it.
pub fn import_images(
    progress: &Progress,
    instance: &Instance,
    archives: &[PathBuf],
) -> Result<Imported> {
    let _lock = instance.lock()?;
    let stage = progress.stage("import", &messages::gives_images());
    let imported = import(progress, instance, archives)?;
    stage.done_with(&messages::imported(
        imported.imported.len(),
        imported.skipped.len(),
    ));
    Ok(imported)
}

/// Gives an image of the node one more name.
///
/// # Errors
/// When the node has no such image.
pub fn tag_image(instance: &Instance, image: &str, name: &str) -> Result<()> {
    let _lock = instance.lock()?;
    let command = ctr(instance).args(["images", "tag", "--force", image, name]);
    command.ok().map(drop)
}

fn import(progress: &Progress, instance: &Instance, archives: &[PathBuf]) -> Result<Imported> {
    let record = instance.state_dir().join("images.json");
    let mut known: Known = match fs::read(&record) {
        Ok(bytes) => serde_json::from_slice(&bytes).context(DecodeSnafu {
            what: record.display().to_string(),
        })?,
        Err(_) => Known::new(),
    };
    let mut present = list(instance)?;
    let mut result = Imported::default();
    for archive in archives {
        let key = content_key(archive)?;
        let is_there = |images: &BTreeMap<String, String>| {
            images
                .iter()
                .all(|(name, digest)| present.get(name) == Some(digest))
        };
        if known.get(&key).is_some_and(is_there) {
            result.skipped.push(archive.clone());
            continue;
        }
        progress.note(&archive.file_name().unwrap_or_default().to_string_lossy());
        let names = import_one(instance, archive)?;
        present = list(instance)?;
        let images = names.into_iter().filter_map(|name| {
            let digest = present.get(&name)?.clone();
            Some((name, digest))
        });
        known.insert(key, images.collect());
        let text = serde_json::to_vec_pretty(&known).context(DecodeSnafu {
            what: "the record of images",
        })?;
        write_file(&record, &text)?;
        result.imported.push(archive.clone());
    }
    Ok(result)
}

/// The images without which no pod starts, no name is found and no volume is made. Those that are
/// missing come from the newest archives in the cache.
pub(super) fn import_own_images(progress: &Progress, instance: &Instance) -> Result<()> {
    let present = list(instance)?;
    let dir = paths::images_dir();
    let mut archives = Vec::new();
    for image in [PAUSE_IMAGE, COREDNS_IMAGE, BASE_IMAGE] {
        let name = short_name(image);
        match newest_archive(&dir, name) {
            Some(archive) => archives.push(archive),
            None if present.contains_key(image) => {}
            None => {
                let archive = dir.join(format!("{name}-*.tar"));
                return NoImageSnafu { image, archive }.fail();
            }
        }
    }
    import(progress, instance, &archives).map(drop)
}

/// `coredns` of `localhost/lotoai/coredns:local`.
fn short_name(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split(':').next().unwrap_or(last)
}

/// The last built or used of `<name>.tar` and `<name>-<key>.tar`.
fn newest_archive(dir: &Path, name: &str) -> Option<PathBuf> {
    let modified = |path: &Path| {
        let metadata = fs::metadata(path);
        metadata
            .and_then(|metadata| metadata.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let entries = fs::read_dir(dir).ok()?;
    let paths = entries
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.path());
    let ours = paths.filter(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        is_archive_of(&file, name)
    });
    ours.max_by_key(|path| modified(path))
}

fn is_archive_of(file: &str, name: &str) -> bool {
    let Some(rest) = file
        .strip_suffix(".tar")
        .and_then(|stem| stem.strip_prefix(name))
    else {
        return false;
    };
    let is_key = |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    rest.is_empty() || rest.strip_prefix('-').is_some_and(is_key)
}

/// A hash of the part of an archive that names every digest in it: of `index.json` in an OCI
/// archive, else of `manifest.json`.
fn content_key(archive: &Path) -> Result<String> {
    for member in ["index.json", "manifest.json"] {
        let extract =
            Run::new("tar").args(["--extract", "--to-stdout", "--occurrence=1", "--file"]);
        let printed = extract.args([archive]).args([member]).limit(120).ok();
        if let Some(text) = printed
            .ok()
            .map(|printed| printed.stdout)
            .filter(|t| !t.is_empty())
        {
            return Ok(hex::encode(Sha256::digest(text.as_bytes())));
        }
    }
    NotAnArchiveSnafu { path: archive }.fail()
}

fn ctr(instance: &Instance) -> Run {
    let socket = instance.containerd_socket();
    Run::new("ctr")
        .args(["--namespace=k8s.io", "--address"])
        .args([socket])
}

/// Imports one archive and gives the names of its images.
fn import_one(instance: &Instance, archive: &Path) -> Result<Vec<String>> {
    let snapshotter = fs::read_to_string(instance.state_dir().join("snapshotter"));
    let snapshotter = snapshotter.unwrap_or_else(|_| "overlayfs".to_owned());
    let command = ctr(instance).args(["images", "import", "--snapshotter", snapshotter.trim()]);
    let printed = command.args([archive]).limit(IMPORT_LIMIT).ok()?;
    let names = imported_names(&printed.stdout);
    if names.is_empty() {
        NotAnArchiveSnafu { path: archive }.fail()
    } else {
        Ok(names)
    }
}

/// From lines such as `unpacking localhost/lotoai/base:local (sha256:…)...done`.
fn imported_names(printed: &str) -> Vec<String> {
    let lines = printed
        .lines()
        .filter_map(|line| line.strip_prefix("unpacking "));
    lines
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Every image of the node with its digest.
fn list(instance: &Instance) -> Result<BTreeMap<String, String>> {
    let printed = ctr(instance).args(["images", "list"]).ok()?;
    let mut images = BTreeMap::new();
    for line in printed.stdout.lines().skip(1) {
        let mut fields = line.split_whitespace();
        let name = fields.next();
        let digest = fields.find(|field| field.starts_with("sha256:"));
        let (name, digest) = name.zip(digest).with_context(|| NotAnArchiveSnafu {
            path: PathBuf::from(line),
        })?;
        images.insert(name.to_owned(), digest.to_owned());
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_what_the_runtime_prints() {
        let printed = "unpacking localhost/lotoai/base:local (sha256:12)...done\nelapsed: 1 s\n";
        assert_eq!(imported_names(printed), ["localhost/lotoai/base:local"]);
        assert_eq!(short_name(COREDNS_IMAGE), "coredns");
    }

    #[test]
    fn archives_of_other_images_are_not_taken() {
        assert!(is_archive_of("rag-0123abcd.tar", "rag") && is_archive_of("rag.tar", "rag"));
        assert!(!is_archive_of("rag-server-0123.tar", "rag"));
        assert!(!is_archive_of("rag-0123.part", "rag"));
    }

    #[test]
    fn the_newest_archive_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        for (name, age) in [
            ("base-aa.tar", 100),
            ("base-bb.tar", 50),
            ("base-cc.part", 0),
        ] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            let time = SystemTime::now() - std::time::Duration::from_secs(age);
            file.set_modified(time).unwrap();
        }
        assert_eq!(
            newest_archive(dir.path(), "base"),
            Some(dir.path().join("base-bb.tar"))
        );
        assert_eq!(newest_archive(dir.path(), "pause"), None);
    }

    #[test]
    fn the_key_follows_the_index_of_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        let archive = |name: &str, index: &str| {
            fs::write(dir.path().join("index.json"), index).unwrap();
            let path = dir.path().join(name);
            let run = Run::new("tar").args(["--create", "--file"]).args([&path]);
            run.args(["index.json"]).dir(dir.path()).ok().unwrap();
            content_key(&path).unwrap()
        };
        let first = archive("a.tar", "{\"manifests\":[1]}");
        assert_eq!(first, archive("b.tar", "{\"manifests\":[1]}"));
        assert_ne!(first, archive("c.tar", "{\"manifests\":[2]}"));
        let none = dir.path().join("index.json");
        assert!(
            content_key(&none)
                .unwrap_err()
                .to_string()
                .contains("neither an OCI nor")
        );
    }
}
