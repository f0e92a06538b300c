//! The end-to-end level: a cluster and a platform of its own, removed afterwards whatever happens.

use std::collections::BTreeMap;

use lotoai_local::{Instance, Progress, Requirements};

use crate::cluster::local;
use crate::error::Result;
use crate::programs::{self, Level};
use crate::tally::Tally;
use crate::{diagnose, paths, prepare, test, up};

/// `make e2e`.
pub(crate) fn run() -> Result<()> {
    let programs = test::prepared()?;
    let mut tally = Tally::new();
    let platform = with_platform(|environment| {
        programs::run_level(&programs, Level::Platform, environment, &mut tally)
    });
    tally.step("platform up and removed", platform);
    tally.close()
}

/// The cluster of this process.
pub(crate) fn instance() -> Result<Instance> {
    let name = format!("{}{}", lotoai_local::TEST_PREFIX, std::process::id());
    Instance::new(&name).map_err(|error| local("name the test cluster", error))
}

/// Runs `tests` beside a platform that nobody else uses. With `LOTOAI_KEEP` set the cluster stays.
pub(crate) fn with_platform(
    tests: impl FnOnce(&BTreeMap<String, String>) -> Result<()>,
) -> Result<()> {
    let progress = Progress::new();
    lotoai_local::reap_stale(&progress)
        .map_err(|error| local("remove stale test clusters", error))?;
    let instance = instance()?;
    up::check_machine(&instance, &Requirements::built())?;
    let prepared = prepare::run(&progress)?;
    let keep = std::env::var_os("LOTOAI_KEEP").is_some();
    if !keep {
        guard(&instance);
    }
    let outcome = up::start(&progress, &instance, &prepared).and_then(|access| {
        let port = instance.ports().public_https;
        // Tests call no provider, whatever keys the environment holds.
        let outcome = up::deploy(&progress, &access, &prepared.references(), port, None)
            .and_then(|()| tests(&environment(&instance)));
        let directory = prepare::log(&format!("e2e-{}", std::process::id())).with_extension("");
        diagnose::write(&access, &directory);
        outcome
    });
    if keep {
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

/// Lets another process remove the cluster when this one dies without doing so itself.
pub(crate) fn guard(instance: &Instance) {
    let watchdog =
        lotoai_local::own_program().and_then(|program| lotoai_local::watchdog(instance, &program));
    if let Err(error) = watchdog {
        println!("  no watchdog, a killed run leaves its cluster to the next run: {error}");
    }
}

fn environment(instance: &Instance) -> BTreeMap<String, String> {
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    BTreeMap::from([
        ("KUBECONFIG".to_owned(), text(instance.kubeconfig())),
        ("LOTOAI_E2E_INSTANCE".to_owned(), instance.name.clone()),
        ("LOTOAI_CACHE".to_owned(), text(paths::cache())),
    ])
}
