//! `make test`: every level of the pyramid, from pure tests to the whole platform.
//!
//! The test programs are built once for the whole workspace and run here one by one, so that every
//! level sees the same build and one line counts them all.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use lotoai_local::{Progress, Requirements};
use serde_json::Value;
use snafu::ResultExt;

use crate::error::{JsonSnafu, RefusedSnafu, Result, SpawnSnafu};
use crate::shell::{capture, command};
use crate::{e2e, lint, paths, prepare, up};

/// A level of the pyramid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Pure,
    ApiServer,
    Platform,
}

impl Level {
    fn title(self) -> &'static str {
        match self {
            Self::Pure => "pure and mocked tests",
            Self::ApiServer => "a real kube-apiserver",
            Self::Platform => "the whole platform, end to end",
        }
    }

    fn of(package: &str, target: &str, kind: &str) -> Self {
        match (package, kind) {
            ("lotoai-e2e", "test") => Self::Platform,
            ("lotoai-operator", "test") if target == "apiserver" => Self::ApiServer,
            _ => Self::Pure,
        }
    }
}

/// A test program that cargo built.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    name: String,
    executable: PathBuf,
    directory: PathBuf,
}

/// What test programs counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// Runs everything and ends with the one line that counts.
pub(crate) fn run() -> Result<()> {
    let begun = Instant::now();
    println!("== prepare");
    up::check_machine(&e2e::instance()?, &Requirements::default())?;
    prepare::run(&Progress::new())?;
    println!("\n== build the tests");
    let programs = build()?;
    let mut count = Count::default();
    let mut broken = Vec::new();
    if let Err(error) = lint::quick() {
        println!("{}", lotoai_local::chain(&error));
        count.failed += 1;
        broken.push("lint".to_owned());
    } else {
        count.passed += 1;
    }
    for level in [Level::Pure, Level::ApiServer] {
        println!("\n== {}", level.title());
        run_level(&programs, level, &BTreeMap::new(), &mut count, &mut broken)?;
    }
    println!("\n== {}", Level::Platform.title());
    e2e::with_platform(|environment| {
        run_level(
            &programs,
            Level::Platform,
            environment,
            &mut count,
            &mut broken,
        )
    })?;
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    println!(
        "\nall levels ran in {minutes:.1} min; {} tests ignored",
        count.ignored
    );
    println!("{} passed, {} failed", count.passed, count.failed);
    if broken.is_empty() && count.failed == 0 {
        return Ok(());
    }
    RefusedSnafu {
        message: format!("failed: {}", broken.join(", ")),
    }
    .fail()
}

/// Builds all test programs of the workspace.
pub(crate) fn build() -> Result<BTreeMap<Level, Vec<Program>>> {
    let arguments = [
        "test",
        "--locked",
        "--workspace",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ];
    let output = capture(command("cargo", arguments).stderr(Stdio::inherit()))?;
    let mut programs: BTreeMap<Level, Vec<Program>> = BTreeMap::new();
    for line in output.lines() {
        let message: Value = serde_json::from_str(line).context(JsonSnafu {
            command: "cargo test --no-run",
        })?;
        let Some(executable) = message["executable"].as_str() else {
            continue;
        };
        if message["profile"]["test"] != true {
            continue;
        }
        let directory = PathBuf::from(message["manifest_path"].as_str().unwrap_or_default())
            .parent()
            .map(PathBuf::from)
            .unwrap_or_default();
        let package = package_name(message["package_id"].as_str().unwrap_or_default());
        let target = message["target"]["name"].as_str().unwrap_or_default();
        let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
        let level = Level::of(&package, target, kind);
        let name = if kind == "test" {
            format!("{package} {target}")
        } else {
            package
        };
        programs.entry(level).or_default().push(Program {
            name,
            executable: executable.into(),
            directory,
        });
    }
    Ok(programs)
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

/// Runs the programs of one level and adds up what they counted.
pub(crate) fn run_level(
    programs: &BTreeMap<Level, Vec<Program>>,
    level: Level,
    environment: &BTreeMap<String, String>,
    count: &mut Count,
    broken: &mut Vec<String>,
) -> Result<()> {
    for program in programs.get(&level).into_iter().flatten() {
        let begun = Instant::now();
        let mut command = Command::new(&program.executable);
        command
            .current_dir(&program.directory)
            .envs(environment)
            .env("CARGO_TARGET_DIR", paths::target())
            .stdin(Stdio::null());
        if level == Level::Platform {
            command.args(["--test-threads=1", "--nocapture"]);
        }
        let shown = program.executable.display().to_string();
        let output = command.output().context(SpawnSnafu { program: shown })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let counted = parse(&text);
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{:<40} {} passed, {} failed ({seconds:.1} s)",
            program.name, counted.passed, counted.failed
        );
        for line in text
            .lines()
            .chain(errors.lines())
            .filter(|line| line.contains("SKIPPED"))
        {
            println!("    {line}");
        }
        if !output.status.success() || level == Level::Platform {
            println!("{text}{errors}");
        }
        if !output.status.success() {
            broken.push(program.name.clone());
            if counted.failed == 0 {
                count.failed += 1;
            }
        }
        *count += counted;
    }
    Ok(())
}

/// Adds up the closing lines of a Rust test program.
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
                "ignored" => count.ignored += number,
                _ => {}
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_counted() {
        let text = "running 3 tests\ntest result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; \
                    0 filtered out; finished in 0.01s\n";
        assert_eq!(
            parse(text),
            Count {
                passed: 2,
                failed: 1,
                ignored: 4
            }
        );
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
    fn programs_are_put_on_their_level() {
        assert_eq!(Level::of("lotoai-e2e", "platform", "test"), Level::Platform);
        assert_eq!(Level::of("lotoai-e2e", "lotoai-e2e", "lib"), Level::Pure);
        assert_eq!(
            Level::of("lotoai-operator", "apiserver", "test"),
            Level::ApiServer
        );
    }
}
