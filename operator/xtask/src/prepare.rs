//! Everything that is built before a cluster is needed: programs, web client, models, images.

use std::path::{Path, PathBuf};

use lotoai_local::images::{self, Image, Settings};
use lotoai_local::{Progress, Tool, ToolPaths};
use sha2::{Digest, Sha256};
use snafu::ResultExt;

use crate::cluster::local;
use crate::error::{Error, FileSnafu, Result};
use crate::platform::Images;
use crate::shell::{command, logged};
use crate::{paths, text};

/// What a cluster needs to run the platform.
pub(crate) struct Prepared {
    /// Third-party programs.
    pub tools: ToolPaths,
    /// Archives of the images that the cluster itself and the platform run.
    pub images: Vec<Image>,
}

impl Prepared {
    /// References for the operator's chart.
    pub(crate) fn references(&self) -> Images {
        let mut references = Images::default();
        for image in &self.images {
            match image.name.as_str() {
                "lotoai-operator" => references.operator = Some(image.reference.clone()),
                "base" | "runtime" | "script-runtime" | "pause" | "coredns" => {}
                name => references
                    .components
                    .push((name.to_owned(), image.reference.clone())),
            }
        }
        references
    }

    /// Where the archives are.
    pub(crate) fn archives(&self) -> Vec<PathBuf> {
        self.images
            .iter()
            .map(|image| image.archive.clone())
            .collect()
    }
}

/// Builds whatever is missing or out of date.
pub(crate) fn run(progress: &Progress) -> Result<Prepared> {
    lotoai_local::packages(progress, lotoai_local::PACKAGES)
        .map_err(|error| local("install packages", error))?;
    let tools = lotoai_local::third_party(progress, Tool::ALL)
        .map_err(|error| local("build third-party programs", error))?;
    let stage = progress.stage("build", &text::builds_workloads());
    let build = ["build", "--locked", "--workspace", "--bins"];
    logged(&stage, &mut command("cargo", build), &log("build"))?;
    stage.done();
    web(progress)?;
    models(progress)?;
    Ok(Prepared {
        tools,
        images: build_images(progress)?,
    })
}

fn build_images(progress: &Progress) -> Result<Vec<Image>> {
    let failed = |error| local("build images", error);
    let settings = settings();
    let mut all = images::build_base_images(&settings, progress).map_err(failed)?;
    all.extend(images::build_upstream_images(&settings, progress, &[]).map_err(failed)?);
    all.extend(images::build_workload_images(&settings, progress).map_err(failed)?);
    Ok(all)
}

fn settings() -> Settings {
    Settings {
        repository: paths::root(),
        cache: paths::cache(),
        binaries: paths::binaries(),
    }
}

/// What some tests need on top: the older Helm, the reverse proxy as a program that runs without a
/// cluster, and the definitions of other projects' kinds. Whatever cannot be had is told, and does not
/// keep the others from it; its tests say that they were skipped.
pub(crate) fn for_tests(progress: &Progress) {
    let helm = lotoai_local::third_party(progress, Tool::TESTS)
        .map_err(|error| local("build third-party programs", error));
    let traefik = images::program_of(&settings(), progress, "traefik")
        .map_err(|error| local("fetch Traefik", error));
    for (what, failure) in [
        ("the charts with Helm 3", helm.err()),
        ("the reverse proxy on its own", traefik.err()),
        ("other projects' definitions", definitions(progress).err()),
    ] {
        if let Some(error) = failure {
            tell_skipped(what, &error);
        }
    }
}

/// What the tests of `make soak` need beyond that: metrics-server, in the same way.
pub(crate) fn for_soak(progress: &Progress) {
    let built = lotoai_local::third_party(progress, Tool::METRICS);
    if let Err(error) = built.map_err(|error| local("build third-party programs", error)) {
        tell_skipped("autoscaling", &error);
    }
}

fn tell_skipped(what: &str, error: &Error) {
    let error = lotoai_local::chain(error);
    println!("\n  SKIPPED tests of {what}: {error}");
}

/// The Go modules with the definitions of other projects, in Go's own cache. A proxy that does not
/// answer is given up.
fn definitions(progress: &Progress) -> Result<()> {
    let directory = paths::root().join("local/go/definitions");
    let list = directory.join("go.mod");
    let text = std::fs::read_to_string(&list).context(FileSnafu {
        action: "read",
        path: &list,
    })?;
    let stage = progress.stage("definitions", &text::gets_definitions());
    let get = ["180", "go", "mod", "download", "-json"];
    let mut get = command("timeout", get);
    get.args(modules(&text))
        .current_dir(&directory)
        .env("GOWORK", "off")
        .env("GOTOOLCHAIN", "local");
    logged(&stage, &mut get, &log("definitions"))?;
    stage.done();
    Ok(())
}

/// The modules that a `go.mod` requires, with their versions.
fn modules(list: &str) -> Vec<String> {
    let pairs = list.lines().filter_map(|line| line.trim().split_once(' '));
    pairs
        .filter(|(_, version)| version.starts_with('v'))
        .map(|(name, version)| format!("{name}@{version}"))
        .collect()
}

/// The web client: `workloads/web/dist`, rebuilt when its sources change.
fn web(progress: &Progress) -> Result<()> {
    let directory = paths::root().join("workloads/web");
    // Not in `dist`, which is served to everybody.
    let stamp = directory.join("node_modules/.built-from");
    let sources = sources_hash(&directory)?;
    let is_built = directory.join("dist/index.html").is_file();
    if is_built && std::fs::read_to_string(&stamp).is_ok_and(|stored| stored == sources) {
        return Ok(());
    }
    let stage = progress.stage("web", &text::builds_web());
    let npm = |arguments: &[&str], name: &str| {
        logged(
            &stage,
            command("npm", arguments).current_dir(&directory),
            &log(name),
        )
    };
    npm(
        &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        "npm-ci",
    )?;
    npm(&["run", "build"], "npm-build")?;
    std::fs::write(&stamp, sources).context(FileSnafu {
        action: "write",
        path: stamp,
    })?;
    stage.done();
    Ok(())
}

/// The models that the model server's image carries. The script does nothing when they are there.
fn models(progress: &Progress) -> Result<()> {
    let stage = progress.stage("models", &text::gets_models());
    let output = paths::cache().join("third-party/models-1");
    let venv = paths::cache().join("venvs/models");
    let mut build = command("python3", ["local/models/build.py", "--venv"]);
    build.arg(venv).arg("--output").arg(output);
    logged(&stage, &mut build, &log("models"))?;
    stage.done();
    Ok(())
}

/// Where the output of a stage goes.
pub(crate) fn log(stage: &str) -> PathBuf {
    paths::cache().join("logs").join(format!("{stage}.log"))
}

/// A hash over every file that the web client is built from.
fn sources_hash(directory: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(directory, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let bytes = std::fs::read(&file).context(FileSnafu {
            action: "read",
            path: &file,
        })?;
        let name = file.strip_prefix(directory).unwrap_or(&file);
        hash.update(name.to_string_lossy().as_bytes());
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    Ok(hex::encode(hash.finalize()))
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(directory).context(FileSnafu {
        action: "read",
        path: directory,
    })? {
        let path = entry
            .context(FileSnafu {
                action: "read",
                path: directory,
            })?
            .path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && (name == "node_modules" || name == "dist") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_modules_are_named_with_their_versions() {
        let list =
            "module m.dev/x\n\ngo 1.26.8\n\nrequire (\n\ta.dev/b v1.2.3\n\tc.dev v0.1.0\n)\n";
        assert_eq!(modules(list), ["a.dev/b@v1.2.3", "c.dev@v0.1.0"]);
        let ours = paths::root().join("local/go/definitions/go.mod");
        let ours = std::fs::read_to_string(ours).unwrap();
        assert_eq!(modules(&ours).len(), 2, "{ours}");
    }
}
