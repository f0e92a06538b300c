//! `make bench` and `make bench-operator`: figures of this machine, to compare with those in the
//! documentation.

use std::path::{Path, PathBuf};

use lotoai_local::{Progress, Tool};
use snafu::ResultExt;

use crate::cluster::local;
use crate::error::{FileSnafu, Result};
use crate::paths;
use crate::shell::{command, logged, show};

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
    let stage = progress.stage("build", "the operator in release mode (cargo build)");
    let bench = [
        "bench",
        "--locked",
        "-p",
        "lotoai-operator",
        "--bench",
        "scale",
    ];
    let log = paths::cache().join("logs/bench-operator.log");
    logged(&stage, command("cargo", bench).arg("--no-run"), &log)?;
    stage.done();
    let mut measure = command("cargo", bench);
    measure
        .args(["--quiet", "--", "--twin"])
        .arg(twin)
        .args(["--resources", &resources.to_string()]);
    if let Some(json) = json {
        // The benchmark runs in the directory of its crate.
        let json = std::path::absolute(json).context(FileSnafu {
            action: "find",
            path: json,
        })?;
        measure.arg("--json").arg(json);
    }
    show(&mut measure)
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
