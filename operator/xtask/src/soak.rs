//! `make soak`: in full what `make test` runs a sample of.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::programs::{Level, run_level};
use crate::tally::Tally;
use crate::test;

/// Interrupts the start of a cluster at each of its stages, and kills the operator at more of its
/// writes.
pub(crate) fn run() -> Result<()> {
    println!("== prepare");
    let programs = test::prepared()?;
    let mut tally = Tally::new();
    let in_full = BTreeMap::from([("LOTOAI_SOAK".to_owned(), "1".to_owned())]);
    run_level(&programs, Level::ApiServer, &in_full, &mut tally)?;
    run_level(
        &programs,
        Level::Cluster,
        &test::interrupted("all"),
        &mut tally,
    )?;
    tally.close()
}
