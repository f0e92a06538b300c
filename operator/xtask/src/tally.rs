//! What ran, what failed, what was skipped: told in the one line that closes `make test`.

use std::time::Instant;

use crate::error::{RefusedSnafu, Result};

/// What test programs counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed.
    pub failed: u32,
    /// Tests that were not run, or ran without the programs that they need.
    pub skipped: u32,
}

/// The sum over all levels.
#[derive(Debug)]
pub(crate) struct Tally {
    begun: Instant,
    count: Count,
    broken: Vec<String>,
}

impl Tally {
    /// Nothing has run yet; the time counts from now.
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            count: Count::default(),
            broken: Vec::new(),
        }
    }

    /// Adds what the test program `name` counted. One that failed without saying which test did
    /// counts as one failed test.
    pub(crate) fn program(&mut self, name: &str, count: Count, succeeded: bool) {
        self.count.passed += count.passed;
        self.count.failed += count.failed;
        self.count.skipped += count.skipped;
        if !succeeded {
            self.broken.push(name.to_owned());
            self.count.failed += u32::from(count.failed == 0);
        }
    }

    /// Adds a step that passes or fails as a whole.
    pub(crate) fn step(&mut self, name: &str, result: Result<()>) {
        let succeeded = result.is_ok();
        if let Err(error) = result {
            println!("✗ {name}: {}", lotoai_local::chain(&error));
        }
        let count = Count {
            passed: u32::from(succeeded),
            ..Count::default()
        };
        self.program(name, count, succeeded);
    }

    /// Prints the closing line.
    ///
    /// # Errors
    /// When anything failed; the error names it.
    pub(crate) fn close(self) -> Result<()> {
        let minutes = self.begun.elapsed().as_secs_f64() / 60.0;
        println!("\nall levels ran in {minutes:.1} min");
        println!("{}", closing_line(self.count));
        if self.broken.is_empty() {
            return Ok(());
        }
        let message = format!("failed: {}", self.broken.join(", "));
        RefusedSnafu { message }.fail()
    }
}

fn closing_line(count: Count) -> String {
    let mut line = format!("{} passed, {} failed", count.passed, count.failed);
    if count.skipped > 0 {
        line.push_str(&format!(", {} skipped", count.skipped));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_dies_without_a_count_is_one_failure() {
        let mut tally = Tally::new();
        tally.program("dead", Count::default(), false);
        tally.step("good", Ok(()));
        let message = "no".to_owned();
        tally.step("bad", RefusedSnafu { message }.fail());
        assert_eq!(closing_line(tally.count), "1 passed, 2 failed");
        assert_eq!(tally.broken, ["dead", "bad"]);
        let error = tally.close().unwrap_err();
        assert_eq!(error.to_string(), "failed: dead, bad");
    }

    #[test]
    fn what_was_skipped_is_told() {
        let count = Count {
            passed: 3,
            failed: 0,
            skipped: 2,
        };
        assert_eq!(closing_line(count), "3 passed, 0 failed, 2 skipped");
    }
}
