//! `make fuzz`: libFuzzer on one target, or on all of them in turn.
//!
//! The sanitizers need another toolchain than the pinned one; what the search needs, counters at
//! every branch, it has. A panic, an endless loop and memory without end are found all the same.

use std::path::{Path, PathBuf};

use lotoai_local::Progress;
use snafu::{ResultExt as _, ensure};

use crate::error::{FileSnafu, RefusedSnafu, Result};
use crate::shell::{command, logged, show};
use crate::{paths, prepare, text};

/// The counters, as `cargo fuzz --sanitizer none` asks for them. Without its `--cfg fuzzing`, with which
/// some crates that we use are no longer what runs in production.
const FLAGS: &str = "-Cpasses=sancov-module \
                     -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares \
                     -Cdebug-assertions -Ccodegen-units=1";
/// The longest input, as in the tests.
const MAX_BYTES: u32 = 4096;

/// Runs `target`, or each target when there is none, for this many seconds.
///
/// # Errors
/// When there is no such target, when it cannot be built, or when an input is found that breaks a
/// promise.
pub(crate) fn run(target: Option<&str>, seconds: u32) -> Result<()> {
    let seeds = paths::root().join("workloads/fuzz/corpus");
    // Before everything is built once more.
    let names = chosen(directories(&seeds), target)?;
    let program = build()?;
    for name in names {
        println!("== {name}");
        search(&program, &seeds, &name, seconds)?;
    }
    Ok(())
}

/// The targets that are asked for, of all that there are.
fn chosen(all: Vec<String>, target: Option<&str>) -> Result<Vec<String>> {
    let Some(target) = target else {
        return Ok(all);
    };
    ensure!(
        all.iter().any(|name| name == target),
        RefusedSnafu {
            message: text::unknown_fuzz_target(target, all.join(", ")),
        }
    );
    Ok(vec![target.to_owned()])
}

/// Builds the program of all targets.
fn build() -> Result<PathBuf> {
    let progress = Progress::new();
    let host = host();
    let output = paths::target().join("fuzz");
    let stage = progress.stage("build", &text::builds_fuzz());
    // With a target triple, build scripts and macros are left as they are.
    let build = [
        "build",
        "--locked",
        "--release",
        "-p",
        "lotoai-fuzz",
        "--features",
        "libfuzzer",
        "--example",
        "libfuzzer",
        "--target",
        &host,
    ];
    let mut build = command("cargo", build);
    build
        .env("RUSTFLAGS", FLAGS)
        // Thin link-time optimisation drops the tables of the counters.
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        // What is found is told with the names of functions.
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .env("CARGO_TARGET_DIR", &output);
    logged(&stage, &mut build, &prepare::log("fuzz"))?;
    stage.done();
    Ok(output.join(&host).join("release/examples/libfuzzer"))
}

/// Searches one target; what is worth keeping stays in the cache for the next search.
fn search(program: &Path, seeds: &Path, name: &str, seconds: u32) -> Result<()> {
    let kept = paths::cache().join("fuzz").join(name);
    std::fs::create_dir_all(&kept).context(FileSnafu {
        action: "create",
        path: &kept,
    })?;
    let artefacts = format!("-artifact_prefix={}-found-", kept.display());
    let mut search = command(
        &program.to_string_lossy(),
        [
            format!("-max_total_time={seconds}"),
            format!("-max_len={MAX_BYTES}"),
            "-timeout=10".to_owned(),
            "-rss_limit_mb=2048".to_owned(),
            "-print_final_stats=1".to_owned(),
            artefacts,
        ],
    );
    search
        .arg(&kept)
        .arg(seeds.join(name))
        .env("LOTOAI_FUZZ_TARGET", name);
    show(&mut search)
}

/// The names of the directories in `parent`, sorted.
fn directories(parent: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The triple of this machine.
fn host() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_targets_or_the_one_that_is_asked_for() {
        let all = || vec!["cookie".to_owned(), "path".to_owned()];
        assert_eq!(chosen(all(), None).unwrap(), all());
        assert_eq!(chosen(all(), Some("path")).unwrap(), ["path"]);
        let refused = chosen(all(), Some("paths")).unwrap_err().to_string();
        assert!(refused.contains("\"paths\""), "{refused}");
        assert!(refused.contains("cookie, path"), "{refused}");
    }

    #[test]
    fn every_corpus_is_one_of_a_target() {
        let all = directories(&paths::root().join("workloads/fuzz/corpus"));
        let targets = include_str!("../../../workloads/fuzz/src/lib.rs");
        assert!(all.len() > 20, "{all:?}");
        for name in all {
            let target = format!("target(\"{name}\", ");
            assert!(targets.contains(&target), "{name}");
        }
    }
}
