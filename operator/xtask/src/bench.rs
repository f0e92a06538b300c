//! `make bench`, `make bench-operator` and `make bench-gateway`: figures of this machine, to compare with those in the
//! documentation.

use std::path::{Path, PathBuf};
use std::process::Command;

use lotoai_local::{Progress, Tool};
use snafu::ResultExt;

use crate::cluster::local;
use crate::error::{FileSnafu, Result};
use crate::shell::{command, logged, show};
use crate::{foreign, paths, text};

/// Measures the models of the model server, with one thread and with all cores.
pub(crate) fn run() -> Result<()> {
    let build = ["build", "--locked", "--workspace", "--example", "speed"];
    show(&mut command("cargo", build))?;
    let program = paths::binaries().join("examples/speed");
    let models = paths::cache().join("third-party/models-1");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("== model server");
    for threads in [1, cores] {
        let mut measure = command(&program.to_string_lossy(), [&models]);
        show(measure.arg(threads.to_string()))?;
    }
    Ok(())
}

/// Measures the operator with many resources on a kube-apiserver without nodes, and the Go twin
/// after it. `json` is a file for the figures.
pub(crate) fn operator(resources: u32, json: Option<&Path>) -> Result<()> {
    let progress = Progress::new();
    lotoai_local::third_party(&progress, &[Tool::Kubernetes, Tool::Etcd])
        .map_err(|error| local("build third-party programs", error))?;
    let twin = twin(&progress)?;
    let what = "the operator in release mode (cargo build)";
    let mut measure = built(&progress, what, "lotoai-operator", "scale")?;
    measure
        .arg("--twin")
        .arg(twin)
        .args(["--resources", &resources.to_string()]);
    with_json(&mut measure, json)?;
    show(&mut measure)
}

/// Measures the gateway beside the gateways of others, and writes the tables of the documentation.
/// `json` is a file for the figures.
pub(crate) fn gateway(rounds: u32, json: Option<&Path>) -> Result<()> {
    let progress = Progress::new();
    lotoai_local::packages(&progress, lotoai_local::TEST_PACKAGES)
        .map_err(|error| local("install packages", error))?;
    let lists = "workloads/gateway/benches/front/peers";
    let peers = foreign::install(&progress, "bench-peers", &text::gets_peers(), lists)?;
    let what = "the gateway in release mode (cargo build)";
    let mut measure = built(&progress, what, "gateway", "front")?;
    measure.args(["--rounds", &rounds.to_string()]);
    match peers {
        Some(peers) => {
            let page = paths::root().join("docs/performance.md");
            measure.arg("--peers").arg(peers).arg("--page").arg(page);
        }
        None => println!(
            "SKIPPED the gateways of others: the npm registry does not answer, so they cannot be \
             installed; docs/performance.md stays as it is"
        ),
    }
    match image_base() {
        Some(base) => {
            measure.arg("--image-base").arg(base);
        }
        None => println!(
            "SKIPPED the size of the image: its base was never built here; `make images` does it"
        ),
    }
    with_json(&mut measure, json)?;
    show(&mut measure)
}

/// The newest archive of the base of our images, if one was ever built here.
fn image_base() -> Option<PathBuf> {
    let entries = std::fs::read_dir(lotoai_local::images_dir()).ok()?;
    let archives = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("runtime-") && name.ends_with(".tar")
    });
    let modified = |entry: &std::fs::DirEntry| entry.metadata().and_then(|it| it.modified()).ok();
    archives.max_by_key(modified).map(|entry| entry.path())
}

/// Builds a benchmark in release mode; the command that runs it, without arguments.
fn built(progress: &Progress, what: &str, package: &str, bench: &str) -> Result<Command> {
    let stage = progress.stage("build", what);
    let arguments = ["bench", "--locked", "-p", package, "--bench", bench];
    let log = paths::cache().join(format!("logs/bench-{bench}.log"));
    logged(&stage, command("cargo", arguments).arg("--no-run"), &log)?;
    stage.done();
    let mut measure = command("cargo", arguments);
    measure.args(["--quiet", "--"]);
    Ok(measure)
}

fn with_json(measure: &mut Command, json: Option<&Path>) -> Result<()> {
    if let Some(json) = json {
        // The benchmark runs in the directory of its crate.
        let json = std::path::absolute(json).context(FileSnafu {
            action: "find",
            path: json,
        })?;
        measure.arg("--json").arg(json);
    }
    Ok(())
}

/// Builds the twin and returns its program.
fn twin(progress: &Progress) -> Result<PathBuf> {
    let stage = progress.stage("twin", "the operator's twin in Go (go build)");
    let program = paths::target().join("twin");
    let mut build = command("go", ["build", "-trimpath", "-buildvcs=false", "-o"]);
    build
        .arg(&program)
        .arg(".")
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .current_dir(paths::root().join("operator/controller/benches/twin"));
    logged(&stage, &mut build, &paths::cache().join("logs/twin.log"))?;
    stage.done();
    Ok(program)
}
