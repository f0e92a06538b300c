//! The test programs of the workspace: built once, run one by one, so that every level of the
//! pyramid sees the same build and one line can count them all.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use lotoai_local::Progress;
use serde_json::Value;
use snafu::{OptionExt, ResultExt};

use crate::cluster::local;
use crate::error::{JsonSnafu, RefusedSnafu, Result, SpawnSnafu};
use crate::paths;
use crate::scratch::Scratch;
use crate::shell::{capture, command};
use crate::tally::{Count, Tally};

/// No test program may take longer; the slowest, the losses of `make soak`, takes half of it.
const LIMIT: Duration = Duration::from_secs(75 * 60);

/// A level of the pyramid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Functions, and servers against fakes of their far sides.
    Pure,
    /// The gateway as real clients of its API see it.
    Clients,
    /// Gateway processes that are stopped, killed and cut off.
    Processes,
    /// The Helm charts, rendered without a cluster.
    Charts,
    /// The operator against a real kube-apiserver, and what it writes against a real Traefik.
    ApiServer,
    /// Clusters whose maker is killed or interrupted.
    Cluster,
    /// The running platform.
    Platform,
    /// A second platform whose servers are lost one by one, and one whose operator is killed.
    Losses,
}

impl Level {
    /// Its name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Pure => "pure and mocked tests",
            Self::Clients => "real OpenAI clients",
            Self::Processes => "gateways, stopped and killed",
            Self::Charts => "the Helm charts, rendered",
            Self::ApiServer => "a real kube-apiserver and Traefik",
            Self::Cluster => "clusters, killed and interrupted",
            Self::Platform => "the whole platform, end to end",
            Self::Losses => "servers lost and the operator killed, end to end",
        }
    }

    /// Whether its programs take so long that their output is shown while they run. Their tests
    /// run one by one, because they share or fill the machine.
    fn is_long(self) -> bool {
        match self {
            Self::Pure | Self::Clients | Self::Processes | Self::Charts | Self::ApiServer => false,
            Self::Cluster | Self::Platform | Self::Losses => true,
        }
    }

    /// How many tests run at the same time, where it is not one for each core.
    fn threads(self) -> Option<usize> {
        match self {
            // Many of them wait for a server most of the time.
            Self::Pure => Some(2 * available_parallelism().map_or(1, NonZero::get)),
            Self::Clients | Self::Processes | Self::Charts | Self::ApiServer => None,
            Self::Cluster | Self::Platform | Self::Losses => Some(1),
        }
    }

    fn of(package: &str, target: &str, kind: &str) -> Self {
        match (package, kind) {
            ("lotoai-e2e", "test") => Self::Platform,
            ("lotoai-gateway", "test") if target == "processes" => Self::Processes,
            ("xtask", "test") if target == "charts" => Self::Charts,
            ("lotoai-operator", "test") if target == "apiserver" => Self::ApiServer,
            ("xtask", "test") if target == "cluster" => Self::Cluster,
            _ => Self::Pure,
        }
    }
}

/// The test programs of every level.
pub(crate) type Programs = BTreeMap<Level, Vec<Program>>;

/// A test program that cargo built.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    name: String,
    executable: PathBuf,
    directory: PathBuf,
    /// Which of its tests.
    filter: &'static [&'static str],
}

/// Tests that are part of a program of one level, and a level of their own.
struct Part {
    /// The program and its level.
    of: (Level, &'static str),
    level: Level,
    title: &'static str,
    /// Arguments that choose them, and all others.
    only: &'static [&'static str],
    others: &'static [&'static str],
}

const PARTS: [Part; 2] = [
    // They need the fakes in the gateway's program.
    Part {
        of: (Level::Pure, "lotoai-gateway"),
        level: Level::Clients,
        title: "clients",
        only: &["tests::clients::"],
        others: &["--skip", "tests::clients::"],
    },
    // They need the rest of the platform's tests, and more of a machine or of time than those. Of
    // the rotation of credentials and of upgrades both levels have a part.
    Part {
        of: (Level::Platform, "lotoai-e2e platform"),
        level: Level::Losses,
        title: "losses",
        only: &[
            "crashes::",
            "high_availability::",
            "rotation::",
            "upgrade::",
        ],
        others: &["--skip", "crashes::", "--skip", "high_availability::"],
    },
];

/// Installs what tests need on top, and builds all test programs of the workspace.
pub(crate) fn build(progress: &Progress) -> Result<Programs> {
    lotoai_local::packages(progress, lotoai_local::TEST_PACKAGES)
        .map_err(|error| local("install packages", error))?;
    let arguments = [
        "test",
        "--locked",
        "--workspace",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ];
    let output = capture(command("cargo", arguments).stderr(Stdio::inherit()))?;
    let mut programs = Programs::new();
    for line in output.lines() {
        let message: Value = serde_json::from_str(line).context(JsonSnafu {
            command: "cargo test --no-run",
        })?;
        for (level, program) in programs_of(&message) {
            programs.entry(level).or_default().push(program);
        }
    }
    Ok(programs)
}

/// The levels that have tests in the program that a message of cargo tells of, if it does.
fn programs_of(message: &Value) -> Vec<(Level, Program)> {
    let Some((level, program)) = program_of(message) else {
        return Vec::new();
    };
    let mut parts = PARTS.iter();
    let Some(part) = parts.find(|part| part.of == (level, program.name.as_str())) else {
        return vec![(level, program)];
    };
    let own = Program {
        name: format!("{} {}", program.name, part.title),
        filter: part.only,
        ..program.clone()
    };
    let others = Program {
        filter: part.others,
        ..program
    };
    vec![(level, others), (part.level, own)]
}

/// The test program that a message of cargo tells of, if it does.
fn program_of(message: &Value) -> Option<(Level, Program)> {
    let executable = message["executable"].as_str()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    let package = package_name(message["package_id"].as_str()?);
    let target = message["target"]["name"].as_str()?;
    let kind = message["target"]["kind"][0].as_str()?;
    let level = Level::of(&package, target, kind);
    let name = if kind == "test" {
        format!("{package} {target}")
    } else {
        package
    };
    let program = Program {
        name,
        executable: executable.into(),
        directory: manifest.parent()?.to_owned(),
        filter: &[],
    };
    Some((level, program))
}

/// `path+file:///x/operator/api#lotoai-api@0.1.0` → `lotoai-api`; the name may be implied by the
/// directory when both are equal.
fn package_name(id: &str) -> String {
    let (path, fragment) = id.rsplit_once('#').unwrap_or(("", id));
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => path.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

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

/// What a test program says of its failures; all that it said when it did not come so far.
fn failures(text: &str) -> &str {
    text.find("\nfailures:\n")
        .map_or(text, |from| &text[from..])
}

/// The lines that name something that was skipped.
fn skipped(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.contains("SKIPPED"))
}

/// Adds up the closing lines of a Rust test program. A test that says `SKIPPED` passed nothing.
fn parse(text: &str) -> Count {
    let mut count = Count::default();
    for line in text
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "))
    {
        for part in line.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else {
                continue;
            };
            let Ok(number) = number.parse::<u32>() else {
                continue;
            };
            match what {
                "passed" => count.passed += number,
                "failed" => count.failed += number,
                "ignored" => count.skipped += number,
                _ => {}
            }
        }
    }
    let said = u32::try_from(skipped(text).count()).unwrap_or(u32::MAX);
    let said = said.min(count.passed);
    count.passed -= said;
    count.skipped += said;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_counted() {
        let text = "running 3 tests\ntest result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; \
                    0 filtered out; finished in 0.01s\n";
        let expected = Count {
            passed: 2,
            failed: 1,
            skipped: 4,
        };
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn a_test_that_says_it_skipped_has_not_passed() {
        let text = "SKIPPED: no server here\ntest result: ok. 5 passed; 0 failed; 0 ignored\n";
        let expected = Count {
            passed: 4,
            failed: 0,
            skipped: 1,
        };
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn only_failures_are_shown() {
        let text = "test a ... ok\n\nfailures:\n\n---- b stdout ----\nno\n";
        assert!(failures(text).starts_with("\nfailures:"));
        assert_eq!(failures("killed"), "killed");
    }

    #[test]
    fn package_names_come_from_both_forms_of_id() {
        assert_eq!(
            package_name("path+file:///x/operator/api#lotoai-api@0.1.0"),
            "lotoai-api"
        );
        assert_eq!(package_name("path+file:///x/operator/xtask#0.1.0"), "xtask");
    }

    #[test]
    fn some_tests_of_a_program_are_a_level_of_their_own() {
        let levels = |package: &str, target: &str, kind: &str| {
            let message = serde_json::json!({
                "executable": "/x/deps/p-1", "profile": { "test": true },
                "manifest_path": "/x/p/Cargo.toml", "package_id": format!("path+file:///x/p#{package}@0.1.0"),
                "target": { "name": target, "kind": [kind] },
            });
            programs_of(&message)
                .into_iter()
                .map(|(level, program)| (level, program.filter.join(" ")))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            levels("lotoai-gateway", "lotoai_gateway", "lib"),
            [
                (Level::Pure, "--skip tests::clients::".to_owned()),
                (Level::Clients, "tests::clients::".to_owned()),
            ]
        );
        assert_eq!(
            levels("lotoai-e2e", "platform", "test"),
            [
                (
                    Level::Platform,
                    "--skip crashes:: --skip high_availability::".to_owned()
                ),
                (
                    Level::Losses,
                    "crashes:: high_availability:: rotation:: upgrade::".to_owned()
                ),
            ]
        );
        let whole = [(Level::Pure, String::new())];
        assert_eq!(levels("lotoai-kit", "lotoai_kit", "lib"), whole);
        assert!(programs_of(&serde_json::json!({})).is_empty());
    }

    #[test]
    fn programs_are_put_on_their_level() {
        assert_eq!(Level::of("lotoai-e2e", "platform", "test"), Level::Platform);
        assert_eq!(Level::of("lotoai-e2e", "lotoai-e2e", "lib"), Level::Pure);
        assert_eq!(
            Level::of("lotoai-gateway", "processes", "test"),
            Level::Processes
        );
        assert_eq!(Level::of("xtask", "charts", "test"), Level::Charts);
        assert_eq!(Level::of("xtask", "xtask", "bin"), Level::Pure);
        assert_eq!(
            Level::of("lotoai-operator", "apiserver", "test"),
            Level::ApiServer
        );
        assert_eq!(Level::of("xtask", "cluster", "test"), Level::Cluster);
        assert_eq!(Level::of("xtask", "xtask", "bin"), Level::Pure);
    }
}
