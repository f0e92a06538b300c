//! `make soak`: in full what `make test` runs a sample of.

use std::collections::BTreeMap;

use lotoai_local::Progress;

use crate::error::Result;
use crate::programs::{Level, run_level};
use crate::tally::Tally;
use crate::{e2e, prepare, test};

/// Kills the gateway at more moments and gives its streams all the time that they have, interrupts
/// the start of a cluster at each of its stages, kills the operator at more of its writes, also while
/// what it makes runs, takes away each server of a platform's clusters, hands its authority over,
/// upgrades its stores, and burdens it until an autoscaler adds a pod.
pub(crate) fn run() -> Result<()> {
    println!("== prepare");
    let programs = test::prepared()?;
    prepare::for_soak(&Progress::new());
    let mut tally = Tally::new();
    let in_full = BTreeMap::from([("LOTOAI_SOAK".to_owned(), "1".to_owned())]);
    for level in [Level::Processes, Level::ApiServer] {
        run_level(&programs, level, &in_full, &mut tally)?;
    }
    run_level(
        &programs,
        Level::Cluster,
        &test::interrupted("all"),
        &mut tally,
    )?;
    let platform = e2e::with_platform(|environment| {
        let mut environment = environment.clone();
        environment.extend(in_full.clone());
        run_level(&programs, Level::Losses, &environment, &mut tally)
    });
    tally.step("platform up and removed", platform);
    tally.close()
}
