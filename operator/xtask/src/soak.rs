//! `make soak`: in full what `make test` runs a sample of.

use crate::error::Result;
use crate::programs::{Level, run_level};
use crate::tally::Tally;
use crate::test;

/// Interrupts the start of a cluster at each of its stages.
pub(crate) fn run() -> Result<()> {
    println!("== prepare");
    let programs = test::prepared()?;
    let mut tally = Tally::new();
    run_level(
        &programs,
        Level::Cluster,
        &test::interrupted("all"),
        &mut tally,
    )?;
    tally.close()
}
