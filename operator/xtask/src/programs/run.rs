//! Runs test programs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use snafu::{OptionExt, ResultExt};

use super::output::{failures, parse, skipped};
use super::{Level, Program, Programs};
use crate::error::{RefusedSnafu, Result, SpawnSnafu};
use crate::paths;
use crate::scratch::Scratch;
use crate::tally::{Count, Tally};

/// No test program may take longer; the slowest, the losses of `make soak`, takes half of it.
const LIMIT: Duration = Duration::from_secs(75 * 60);

/// Runs the programs of one level.
///
/// # Errors
/// When a program cannot be started. One that fails is only counted.
pub(crate) fn run_level(
    programs: &Programs,
    level: Level,
    environment: &BTreeMap<String, String>,
    tally: &mut Tally,
) -> Result<()> {
    println!("\n== {}", level.title());
    let scratch = Scratch::new(!level.is_long())?;
    for program in programs.get(&level).into_iter().flatten() {
        let begun = Instant::now();
        let ended = run(program, level, environment, scratch.path())?;
        let count = parse(&ended.output);
        if ended.succeeded && count == Count::default() {
            // A program of a few lines has no tests of its own.
            continue;
        }
        println!(
            "{:<40} {} passed, {} failed ({:.1} s)",
            program.name,
            count.passed,
            count.failed,
            begun.elapsed().as_secs_f64()
        );
        if !level.is_long() {
            for line in skipped(&ended.output) {
                println!("    {line}");
            }
            if !ended.succeeded {
                println!("{}", failures(&ended.output));
            }
        }
        tally.program(&program.name, count, ended.succeeded);
    }
    Ok(())
}

struct Ended {
    output: String,
    succeeded: bool,
}

/// Runs one program; the output of a long one is shown while it runs.
fn run(
    program: &Program,
    level: Level,
    environment: &BTreeMap<String, String>,
    scratch: &Path,
) -> Result<Ended> {
    let is_long = level.is_long();
    // A killed run must not leave its tests behind, which would go on using the cluster.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(&program.executable)
        .args(program.filter)
        // Without it the harness swallows what a passing test says it skipped.
        .arg(if is_long {
            "--nocapture"
        } else {
            "--show-output"
        })
        .current_dir(&program.directory)
        .envs(environment)
        .env("CARGO_TARGET_DIR", paths::target())
        .env("TMPDIR", scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(threads) = level.threads() {
        command.arg(format!("--test-threads={threads}"));
    }
    let shown = program.executable.display().to_string();
    let mut child = command.spawn().context(SpawnSnafu { program: &shown })?;
    let lost = || format!("the output of {shown} cannot be read");
    let stdout = child
        .stdout
        .take()
        .context(RefusedSnafu { message: lost() })?;
    let stderr = child
        .stderr
        .take()
        .context(RefusedSnafu { message: lost() })?;
    let readers = [
        std::thread::spawn(move || read(stdout, is_long)),
        std::thread::spawn(move || read(stderr, is_long)),
    ];
    let status = lotoai_local::wait(&mut child, LIMIT, Duration::MAX, || {})
        .context(SpawnSnafu { program: &shown })?;
    let mut output = String::new();
    for reader in readers {
        output.push_str(&reader.join().unwrap_or_default());
    }
    if status.is_none() {
        output.push_str(&format!("{shown} was ended after {} s\n", LIMIT.as_secs()));
    }
    Ok(Ended {
        output,
        succeeded: status.is_some_and(|status| status.success()),
    })
}

/// Reads to the end; shows each line at once when `show`.
fn read(from: impl Read, show: bool) -> String {
    let mut text = String::new();
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines
        .read_until(b'\n', &mut line)
        .is_ok_and(|count| count > 0)
    {
        let piece = String::from_utf8_lossy(&line);
        if show {
            print!("{piece}");
        }
        text.push_str(&piece);
        line.clear();
    }
    text
}
