//! The end-to-end level: a cluster and a platform of its own, removed afterwards whatever happens.

use std::collections::BTreeMap;

use lotoai_local::{Instance, Progress, Requirements};

use crate::cluster::local;
use crate::error::{RefusedSnafu, Result};
use crate::shell::{command, found, logged};
use crate::test::{self, Count, Level};
use crate::{paths, prepare, up};

/// `make e2e`.
pub(crate) fn run() -> Result<()> {
    let programs = test::build()?;
    let mut count = Count::default();
    let mut broken = Vec::new();
    with_platform(|environment| {
        test::run_level(
            &programs,
            Level::Platform,
            environment,
            &mut count,
            &mut broken,
        )
    })?;
    if broken.is_empty() {
        return Ok(());
    }
    RefusedSnafu {
        message: format!("failed: {}", broken.join(", ")),
    }
    .fail()
}

/// The cluster of this process.
pub(crate) fn instance() -> Result<Instance> {
    let name = format!("{}{}", lotoai_local::TEST_PREFIX, std::process::id());
    Instance::new(&name).map_err(|error| local("name the test cluster", error))
}

/// The browser that one of the tests drives.
fn browser() -> Result<()> {
    if found("chromedriver") && found("chromium") {
        return Ok(());
    }
    let install = [
        "install",
        "--yes",
        "--no-install-recommends",
        "chromium",
        "chromium-driver",
    ];
    logged(
        command("apt-get", install).env("DEBIAN_FRONTEND", "noninteractive"),
        &prepare::log("browser"),
    )
}

/// Runs `tests` beside a platform that nobody else uses.
pub(crate) fn with_platform(
    tests: impl FnOnce(&BTreeMap<String, String>) -> Result<()>,
) -> Result<()> {
    let progress = Progress::new();
    lotoai_local::reap_stale(&progress)
        .map_err(|error| local("remove stale test clusters", error))?;
    let instance = instance()?;
    up::check_machine(&instance, &Requirements::default())?;
    let prepared = prepare::run(&progress)?;
    browser()?;
    // Removes the cluster when this process dies without doing so itself.
    let watchdog =
        std::env::current_exe().and_then(|program| lotoai_local::watchdog(&instance, &program));
    if let Err(error) = watchdog {
        println!("  no watchdog, a killed run leaves its cluster to the next run: {error}");
    }
    let outcome = up::start(&progress, &instance, &prepared).and_then(|access| {
        up::deploy(
            &progress,
            &access,
            &prepared.references(),
            instance.ports().public_https,
        )?;
        let environment = BTreeMap::from([
            (
                "KUBECONFIG".to_owned(),
                instance.kubeconfig().to_string_lossy().into_owned(),
            ),
            ("LOTOAI_E2E_INSTANCE".to_owned(), instance.name.clone()),
            (
                "LOTOAI_CACHE".to_owned(),
                paths::cache().to_string_lossy().into_owned(),
            ),
        ]);
        tests(&environment)
    });
    if std::env::var_os("LOTOAI_KEEP").is_some() {
        println!(
            "kept the cluster {} (LOTOAI_KEEP is set): KUBECONFIG={}",
            instance.name,
            instance.kubeconfig().display()
        );
        return outcome;
    }
    let removed = lotoai_local::remove(&progress, &instance)
        .map_err(|error| local("remove the test cluster", error));
    outcome.and(removed.map(drop))
}
