//! The test programs of the workspace: built once, run one by one, so that every level of the
//! pyramid sees the same build and one line can count them all.

mod level;
mod output;
mod run;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use lotoai_local::Progress;
use serde_json::Value;
use snafu::ResultExt;

pub(crate) use self::level::Level;
pub(crate) use self::run::run_level;
use crate::cluster::local;
use crate::error::{JsonSnafu, Result};
use crate::shell::{capture, command};

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
        of: (Level::Pure, "gateway"),
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
            "authority::",
            "autoscaling::",
            "crashes::",
            "high_availability::",
            "rotation::",
            "upgrade::",
        ],
        others: &[
            "--skip",
            "authority::",
            "--skip",
            "autoscaling::",
            "--skip",
            "crashes::",
            "--skip",
            "high_availability::",
        ],
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

#[cfg(test)]
mod tests {
    use super::*;

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
            levels("gateway", "lotoai_gateway", "lib"),
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
                    "--skip authority:: --skip autoscaling:: --skip crashes:: \
                     --skip high_availability::"
                        .to_owned()
                ),
                (
                    Level::Losses,
                    "authority:: autoscaling:: crashes:: high_availability:: rotation:: upgrade::"
                        .to_owned()
                ),
            ]
        );
        let whole = [(Level::Pure, String::new())];
        assert_eq!(levels("lotoai-kit", "lotoai_kit", "lib"), whole);
        assert!(programs_of(&serde_json::json!({})).is_empty());
    }
}
