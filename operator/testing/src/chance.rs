//! Chance that can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Another chance in every run, and that of an earlier run when `LOTOAI_SEED` holds its number,
/// which is printed.
///
/// # Panics
/// When `LOTOAI_SEED` is no number.
#[expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "for tests only, and one that fails is to be repeated"
)]
#[must_use]
pub fn chance(test: &str) -> StdRng {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = std::env::var("LOTOAI_SEED").map_or_else(
        |_| since.map_or(0, |since| since.as_secs()),
        |text| text.parse().expect("LOTOAI_SEED is a number"),
    );
    println!("{test}: LOTOAI_SEED={seed} repeats it");
    StdRng::seed_from_u64(seed)
}
