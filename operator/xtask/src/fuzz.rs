//! `make fuzz`: libFuzzer on one target, or on all of them in turn.
//!
//! The sanitizers need another toolchain than the pinned one; what the search needs, counters at
//! every branch, it has. A panic, an endless loop and memory without end are found all the same.

use std::path::Path;

use lotoai_local::Progress;

use crate::error::Result;
use crate::shell::{command, logged, show};
use crate::{paths, prepare, text};

/// The counters, as `cargo fuzz --sanitizer none` asks for them.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
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
/// When it cannot be built, or when an input is found that breaks a promise.
pub(crate) fn run(target: Option<&str>, seconds: u32) -> Result<()> {
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
        .env("CARGO_TARGET_DIR", &output);
    logged(&stage, &mut build, &prepare::log("fuzz"))?;
    stage.done();
    let program = output.join(&host).join("release/examples/libfuzzer");
    let seeds = paths::root().join("workloads/fuzz/corpus");
    let names = match target {
        Some(name) => vec![name.to_owned()],
        None => directories(&seeds),
    };
    for name in names {
        println!("== {name}");
        search(&program, &seeds, &name, seconds)?;
    }
    Ok(())
}

/// Searches one target; what is worth keeping stays in the cache for the next search.
fn search(program: &Path, seeds: &Path, name: &str, seconds: u32) -> Result<()> {
    let kept = paths::cache().join("fuzz").join(name);
    std::fs::create_dir_all(&kept).map_err(|source| crate::error::Error::File {
        action: "create",
        path: kept.clone(),
        source,
    })?;
    let artefacts = format!(
        "-artifact_prefix={}/found-",
        kept.parent().unwrap_or(&kept).display()
    );
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
