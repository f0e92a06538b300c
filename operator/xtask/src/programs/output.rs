//! What a test program says.

use crate::tally::Count;

/// What a test program says of its failures; all that it said when it did not come so far.
pub(super) fn failures(text: &str) -> &str {
    text.find("\nfailures:\n")
        .map_or(text, |from| &text[from..])
}

/// The lines that name something that was skipped.
pub(super) fn skipped(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.contains("SKIPPED"))
}

/// Adds up the closing lines of a Rust test program. A test that says `SKIPPED` passed nothing.
pub(super) fn parse(text: &str) -> Count {
    let mut count = Count::default();
    for line in text
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "))
    {
        for part in line.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else {
                continue;
            };
            let Ok(number) = number.parse::<u32>() else {
                continue;
            };
            match what {
                "passed" => count.passed += number,
                "failed" => count.failed += number,
                "ignored" => count.skipped += number,
                _ => {}
            }
        }
    }
    let said = u32::try_from(skipped(text).count()).unwrap_or(u32::MAX);
    let said = said.min(count.passed);
    count.passed -= said;
    count.skipped += said;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_counted() {
        let text = "running 3 tests\ntest result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; \
                    0 filtered out; finished in 0.01s\n";
        let expected = Count {
            passed: 2,
            failed: 1,
            skipped: 4,
        };
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn a_test_that_says_it_skipped_has_not_passed() {
        let text = "SKIPPED: no server here\ntest result: ok. 5 passed; 0 failed; 0 ignored\n";
        let expected = Count {
            passed: 4,
            failed: 0,
            skipped: 1,
        };
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn only_failures_are_shown() {
        let text = "test a ... ok\n\nfailures:\n\n---- b stdout ----\nno\n";
        assert!(failures(text).starts_with("\nfailures:"));
        assert_eq!(failures("killed"), "killed");
    }
}
