//! Formatting, lints, licences, generated files and the rules of the repository.

use std::path::PathBuf;
use std::time::Instant;

use lotoai_local::Progress;

use crate::cluster::local;
use crate::error::Result;
use crate::shell::{capture, command, logged};
use crate::{generate, paths, prepare, tidy};

/// The version that checks licences and sources; CI and people have the same.
const CARGO_DENY: &str = "0.20.2";

/// Runs every check; the first that fails ends the task.
pub(crate) fn run() -> Result<()> {
    // The whole workspace is compiled, and some of it needs a C++ compiler.
    lotoai_local::packages(&Progress::new(), lotoai_local::PACKAGES)
        .map_err(|error| local("install packages", error))?;
    // The generated files are compared with what the operator prints.
    let operator = ["build", "--locked", "--quiet", "--bin", "lotoai-operator"];
    capture(&mut command("cargo", operator))?;
    quick()?;
    slow()
}

/// The checks that take seconds once the workspace is built.
pub(crate) fn quick() -> Result<()> {
    step("format", || {
        capture(&mut command("cargo", ["fmt", "--all", "--check"])).map(drop)
    })?;
    step("repository rules", tidy::run)?;
    step("generated files", generate::check)
}

/// The checks that compile every dependency once more, in another mode.
fn slow() -> Result<()> {
    let clippy = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        // The driver of `make fuzz`, which nothing else compiles.
        "--features",
        "lotoai-fuzz/libfuzzer",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    step("clippy", || {
        let mut clippy = command("cargo", clippy);
        // Nothing is linked: libFuzzer itself need not be compiled for it.
        clippy.env("CUSTOM_LIBFUZZER_PATH", "/dev/null");
        capture(&mut clippy).map(drop)
    })?;
    let deny = cargo_deny()?;
    // The advisory database is fetched from the internet; the rest needs no network.
    let check = [
        "--locked",
        "--offline",
        "check",
        "licenses",
        "bans",
        "sources",
    ];
    step("licences and sources", || {
        capture(&mut command(&deny.to_string_lossy(), check)).map(drop)
    })
}

/// The program `cargo-deny`, compiled into the cache when it is not there. Only `make lint` needs
/// it, so that nothing else waits for it.
fn cargo_deny() -> Result<PathBuf> {
    let root = paths::cache().join(format!("tools/cargo-deny-{CARGO_DENY}"));
    let program = root.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    let what = format!(
        "compiles cargo-deny {CARGO_DENY} into {} (once; some minutes; needs crates.io)",
        root.display()
    );
    let stage = Progress::new().stage("cargo-deny", &what);
    let crate_and_version = format!("cargo-deny@{CARGO_DENY}");
    let mut install = command(
        "cargo",
        ["install", "--locked", &crate_and_version, "--root"],
    );
    // Its build output is of no use to the workspace, and goes with the installation.
    install.arg(&root).env_remove("CARGO_TARGET_DIR");
    logged(&stage, &mut install, &prepare::log("cargo-deny"))?;
    stage.done();
    Ok(program)
}

fn step(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    check()?;
    println!("  {name}: ok ({:.1} s)", begun.elapsed().as_secs_f64());
    Ok(())
}
