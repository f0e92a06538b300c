//! Downloads from PyPI and Maven Central, through their own clients and against pinned hashes.

use std::fs;
use std::path::Path;

use snafu::{OptionExt, ResultExt, ensure};

use super::context::{create_dir, file_hash};
use super::error::{BadPinSnafu, ChecksumSnafu, FileSnafu, Result, StepSnafu};
use crate::exec::Run;

/// The Python that the images hold; it decides which wheels fit.
const PYTHON: &str = "3.13";
const MAVEN_COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

/// Unpacks the wheels of `requirements` into `to`. Pip refuses what has another hash. The Python
/// that runs pip is another one than that of the images, so its version decides nothing.
pub(crate) fn wheels(image: &str, requirements: &Path, to: &Path) -> Result<()> {
    Run::inheriting("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-compile",
        ])
        .args(["--disable-pip-version-check", "--root-user-action=ignore"])
        .args(["--ignore-requires-python"])
        .args([
            "--require-hashes",
            "--only-binary=:all:",
            "--implementation=cp",
        ])
        .args([
            "--platform=manylinux_2_17_x86_64",
            "--platform=manylinux2014_x86_64",
        ])
        .args(["--python-version", PYTHON, "--target"])
        .args([to, Path::new("--requirement"), requirements])
        .limit(900)
        .ok()
        .context(StepSnafu {
            step: format!("fetch Python wheels for {image}"),
        })?;
    Ok(())
}

/// One line of `maven.txt`.
#[derive(Debug, PartialEq, Eq)]
struct Artefact<'a> {
    coordinates: &'a str,
    id: &'a str,
    file: String,
    sha256: &'a str,
}

impl<'a> Artefact<'a> {
    /// Reads `group:artefact:version:type sha256:hex`.
    fn parse(line: &'a str) -> Option<Self> {
        let (coordinates, pin) = line.split_once(' ')?;
        let sha256 = pin.trim().strip_prefix("sha256:")?;
        let mut parts = coordinates.split(':');
        let (_group, id) = (parts.next()?, parts.next()?);
        let file = format!("{id}-{}.{}", parts.next()?, parts.next()?);
        let complete = parts.next().is_none() && sha256.len() == 64;
        complete.then_some(Self {
            coordinates,
            id,
            file,
            sha256,
        })
    }
}

/// Unpacks the artefacts of `list` into directories of `context` that are named after them.
pub(crate) fn artefacts(image: &str, list: &Path, downloads: &Path, context: &Path) -> Result<()> {
    let text = fs::read_to_string(list).context(FileSnafu {
        action: "read",
        path: list,
    })?;
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.starts_with('#'))
    {
        let artefact = Artefact::parse(line).context(BadPinSnafu {
            path: list,
            line: number + 1,
            expected: "group:artefact:version:type sha256:hexadecimal",
        })?;
        let archive = downloads.join(&artefact.file);
        if !archive.exists() {
            download(image, &artefact, downloads)?;
        }
        check(&archive, artefact.sha256)?;
        let to = context.join(artefact.id);
        create_dir(&to)?;
        Run::new("tar")
            .args(["--strip-components=1", "--no-same-owner", "-xf"])
            .args([archive.as_path(), Path::new("-C"), &to])
            .limit(300)
            .ok()
            .context(StepSnafu {
                step: format!("unpack {}", archive.display()),
            })?;
    }
    Ok(())
}

fn download(image: &str, artefact: &Artefact<'_>, downloads: &Path) -> Result<()> {
    create_dir(downloads)?;
    Run::inheriting("mvn")
        .args(["-q", "-B", MAVEN_COPY])
        .args([format!("-Dartifact={}", artefact.coordinates)])
        .args([format!("-DoutputDirectory={}", downloads.display())])
        .limit(900)
        .ok()
        .context(StepSnafu {
            step: format!("fetch {} for {image}", artefact.coordinates),
        })?;
    Ok(())
}

fn check(file: &Path, pinned: &str) -> Result<()> {
    let found = file_hash(file)?;
    if found != pinned {
        fs::remove_file(file).context(FileSnafu {
            action: "remove",
            path: file,
        })?;
    }
    ensure!(
        found == pinned,
        ChecksumSnafu {
            path: file,
            found,
            pinned
        }
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SUM: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[test]
    fn a_pinned_artefact_is_read() {
        let line = format!("org.x:the-dist:1.2:tar.gz sha256:{SUM}");
        let artefact = Artefact::parse(&line).unwrap();
        assert_eq!(artefact.coordinates, "org.x:the-dist:1.2:tar.gz");
        assert_eq!(
            (artefact.id, artefact.file.as_str()),
            ("the-dist", "the-dist-1.2.tar.gz")
        );
        assert_eq!(artefact.sha256, SUM);
    }

    #[rstest]
    #[case("org.x:the-dist:1.2:tar.gz")]
    #[case("org.x:the-dist:1.2 sha256:00")]
    #[case("org.x:the-dist:1.2:tar.gz sha256:00")]
    fn an_artefact_without_a_whole_pin_is_refused(#[case] line: &str) {
        assert_eq!(Artefact::parse(line), None);
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("maven.txt");
        fs::write(&list, line).unwrap();
        let error = artefacts("x", &list, dir.path(), dir.path()).unwrap_err();
        assert!(
            error.to_string().contains("maven.txt:1: expected group:"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_download_is_refused_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "hello").unwrap();
        check(&file, SUM).unwrap();
        fs::write(&file, "hullo").unwrap();
        let error = check(&file, SUM).unwrap_err();
        assert!(
            error.to_string().contains(&format!("pinned is {SUM}")),
            "{error}"
        );
        assert!(!file.exists());
    }
}
