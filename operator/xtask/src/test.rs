//! `make test`: every level of the pyramid, from pure tests to the whole platform.

use std::collections::BTreeMap;

use lotoai_local::{Progress, Requirements};
use serde_json::Value;
use snafu::ResultExt;

use crate::error::{JsonSnafu, Result};
use crate::programs::{self, Level, Programs, run_level};
use crate::shell::{capture, command};
use crate::tally::{Count, Tally};
use crate::{cluster, e2e, foreign, kind_config, lint, paths, prepare, text, up};

/// Runs everything and ends with the one line that counts.
pub(crate) fn run() -> Result<()> {
    let mut tally = Tally::new();
    println!("== prepare");
    match prepared() {
        Ok(programs) => levels(&programs, &mut tally)?,
        Err(error) => tally.step("prepare", Err(error)),
    }
    tally.close()
}

/// Builds everything, after it has removed what killed runs left.
pub(crate) fn prepared() -> Result<Programs> {
    let progress = Progress::new();
    // What a killed run left holds memory that this one needs.
    lotoai_local::reap_stale(&progress)
        .map_err(|error| cluster::local("remove stale test clusters", error))?;
    up::check_machine(&e2e::instance()?, &Requirements::default())?;
    prepare::run(&progress)?;
    prepare::for_tests(&progress);
    println!("\n== build the tests");
    programs::build(&progress)
}

fn levels(programs: &Programs, tally: &mut Tally) -> Result<()> {
    println!("\n== repository");
    tally.step("lint", lint::quick());
    tally.step("kind-config.yaml", kind_config::check());
    println!(
        "  SKIPPED clippy, licences: `make lint` runs them, and compiles everything once more"
    );
    println!("\n== web client");
    web(tally);
    run_level(programs, Level::Pure, &BTreeMap::new(), tally)?;
    match clients() {
        Ok(environment) => run_level(programs, Level::Clients, &environment, tally)?,
        Err(error) => tally.step("OpenAI clients", Err(error)),
    }
    for level in [Level::Processes, Level::Charts] {
        run_level(programs, level, &BTreeMap::new(), tally)?;
    }
    for version in ["3", "3.14"] {
        println!("\nThe same with Helm {version}:");
        run_level(programs, Level::Charts, &helm(version), tally)?;
    }
    run_level(programs, Level::ApiServer, &BTreeMap::new(), tally)?;
    run_level(programs, Level::Cluster, &interrupted("sample"), tally)?;
    let platform =
        e2e::with_platform(|environment| run_level(programs, Level::Platform, environment, tally));
    tally.step("platform up and removed", platform);
    Ok(())
}

/// Installs the clients of OpenAI's API, and the environment of the tests that run them: empty
/// where the package registries do not answer, and then they do nothing.
fn clients() -> Result<BTreeMap<String, String>> {
    let what = text::gets_clients();
    let lists = "workloads/gateway/clients";
    let directory = foreign::install(&Progress::new(), "openai-clients", &what, lists)?;
    if directory.is_none() {
        println!(
            "\n  SKIPPED real OpenAI clients: the npm registry does not answer, so they cannot be installed"
        );
    }
    let variable = directory.map(|path| {
        let path = path.to_string_lossy().into_owned();
        ("LOTOAI_OPENAI_CLIENTS".to_owned(), path)
    });
    Ok(variable.into_iter().collect())
}

/// The environment of the tests that interrupt the start of a cluster: at a `sample` of its stages,
/// or at `all`. Without it they do nothing, because they need what is built here.
pub(crate) fn interrupted(stages: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("LOTOAI_INTERRUPT".to_owned(), stages.to_owned())])
}

/// The environment of the tests of the charts that makes them use this older Helm.
fn helm(version: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("LOTOAI_HELM".to_owned(), version.to_owned())])
}

/// The tests of the web client.
fn web(tally: &mut Tally) {
    match vitest() {
        Ok(count) => {
            println!(
                "{:<40} {} passed, {} failed",
                "web", count.passed, count.failed
            );
            tally.program("web", count, count.failed == 0);
        }
        Err(error) => tally.step("web", Err(error)),
    }
}

fn vitest() -> Result<Count> {
    let arguments = ["test", "--silent", "--", "--reporter=json"];
    let mut npm = command("npm", arguments);
    let text = capture(npm.current_dir(paths::root().join("workloads/web")))?;
    // npm may print lines of its own before.
    let report = text.find('{').map_or(text.as_str(), |from| &text[from..]);
    let report: Value = serde_json::from_str(report).context(JsonSnafu { command: "vitest" })?;
    let number = |name: &str| {
        let number = report[name].as_u64().unwrap_or_default();
        u32::try_from(number).unwrap_or(u32::MAX)
    };
    Ok(Count {
        passed: number("numPassedTests"),
        failed: number("numFailedTests"),
        skipped: number("numPendingTests") + number("numTodoTests"),
    })
}
