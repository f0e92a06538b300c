//! Formatting, lints, licences, generated files and the rules of the repository.

use std::time::Instant;

use crate::error::Result;
use crate::shell::{capture, command, found};
use crate::{generate, tidy};

/// Runs every check; the first that fails ends the task.
pub(crate) fn run() -> Result<()> {
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
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    step("clippy", || {
        capture(&mut command("cargo", clippy)).map(drop)
    })?;
    if found("cargo-deny") {
        // The advisory database is fetched from the internet; the rest needs no network.
        let deny = [
            "deny",
            "--locked",
            "--offline",
            "check",
            "licenses",
            "bans",
            "sources",
        ];
        step("licences and sources", || {
            capture(&mut command("cargo", deny)).map(drop)
        })
    } else {
        println!(
            "  SKIPPED licences and sources: cargo-deny is not installed (cargo install cargo-deny)"
        );
        Ok(())
    }
}

fn step(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    check()?;
    println!("  {name}: ok ({:.1} s)", begun.elapsed().as_secs_f64());
    Ok(())
}
