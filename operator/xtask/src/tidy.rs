//! Rules of the repository that no compiler checks.

use std::path::Path;

use crate::error::{RefusedSnafu, Result};
use crate::paths;
use crate::shell::{capture, command};

/// Lines of a source file, tests not counted.
const MAX_LINES: usize = 400;
/// The crates that are pure, and where they are.
const PURE: [(&str, &str); 2] = [
    ("lotoai-plan", "operator/plan"),
    ("lotoai-policy", "workloads/policy"),
];
/// Crates that must never appear below those.
const IMPURE: [&str; 4] = ["tokio", "kube-client", "reqwest", "rand"];

/// Checks every rule and reports all faults together.
pub(crate) fn run() -> Result<()> {
    let mut faults = Vec::new();
    let listed = capture(&mut command(
        "git",
        [
            // A checkout that another user owns is read all the same.
            "-c",
            "safe.directory=*",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
    ))?;
    for file in listed.lines() {
        let path = paths::root().join(file);
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        if file.ends_with(".rs") {
            file_length(file, &text, &mut faults);
        }
        if file.ends_with("Cargo.toml") && file != "Cargo.toml" {
            workspace_lints(file, &text, &mut faults);
        }
        if file.ends_with(".md") {
            links(&path, file, &text, &mut faults);
        }
    }
    for (name, place) in PURE {
        purity(name, place, &mut faults)?;
    }
    if faults.is_empty() {
        return Ok(());
    }
    RefusedSnafu {
        message: format!(
            "the repository's rules are broken:\n  {}",
            faults.join("\n  ")
        ),
    }
    .fail()
}

fn file_length(file: &str, text: &str, faults: &mut Vec<String>) {
    if file.contains("/tests/") || file.ends_with("tests.rs") {
        return;
    }
    let lines = text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .count();
    if lines > MAX_LINES {
        faults.push(format!(
            "{file}: {lines} lines without tests; split it by concern (limit {MAX_LINES})"
        ));
    }
}

fn workspace_lints(file: &str, text: &str, faults: &mut Vec<String>) {
    if text.contains("[package]") && !text.contains("[lints]\nworkspace = true") {
        faults.push(format!("{file}: add `[lints]` with `workspace = true`"));
    }
}

/// Relative links of a page must lead somewhere.
fn links(path: &Path, file: &str, text: &str, faults: &mut Vec<String>) {
    let Some(directory) = path.parent() else {
        return;
    };
    for piece in text.split("](").skip(1) {
        let Some(target) = piece.split(')').next() else {
            continue;
        };
        let target = target.split('#').next().unwrap_or_default();
        let is_relative =
            !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:");
        let is_path = target
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c));
        if is_relative && is_path && !directory.join(target).exists() {
            faults.push(format!("{file}: link to {target:?} leads nowhere"));
        }
    }
}

fn purity(name: &str, place: &str, faults: &mut Vec<String>) -> Result<()> {
    let arguments = [
        "tree", "--locked", "-p", name, "-e", "normal", "--prefix", "none",
    ];
    let tree = capture(&mut command("cargo", arguments))?;
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        if IMPURE.contains(&name) {
            faults.push(format!("{place} depends on {name}; it must stay pure"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_reported_but_its_tests_do_not_count() {
        let mut faults = Vec::new();
        let long = "line\n".repeat(MAX_LINES + 1);
        file_length("a.rs", &long, &mut faults);
        assert_eq!(faults.len(), 1);
        let tested = format!("{}#[cfg(test)]\n{long}", "line\n".repeat(10));
        faults.clear();
        file_length("a.rs", &tested, &mut faults);
        assert!(faults.is_empty());
    }

    #[test]
    fn a_dead_link_is_reported_and_a_live_one_is_not() {
        let root = paths::root();
        let mut faults = Vec::new();
        links(
            &root.join("README.md"),
            "README.md",
            "[a](Cargo.toml) [b](https://x.y/z)",
            &mut faults,
        );
        assert!(faults.is_empty(), "{faults:?}");
        links(
            &root.join("README.md"),
            "README.md",
            "[a](nowhere.md)",
            &mut faults,
        );
        assert_eq!(faults.len(), 1);
    }
}
