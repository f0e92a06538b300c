//! Checks the `[n]` markers of an answer while it is being written by a model.

use std::collections::BTreeSet;

/// The longest marker: `[999]`.
const LONGEST_MARKER: usize = 5;

/// Lets text through and takes out markers that name no passage.
#[derive(Debug)]
pub struct MarkerFilter {
    passages: usize,
    held: String,
    cited: BTreeSet<usize>,
}

impl MarkerFilter {
    /// A filter for an answer that may cite 1 to `passages`.
    #[must_use]
    pub fn new(passages: usize) -> Self {
        Self {
            passages,
            held: String::new(),
            cited: BTreeSet::new(),
        }
    }

    /// Text that may be shown now; an unfinished marker is held back.
    pub fn push(&mut self, text: &str) -> String {
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '[' => {
                    out.push_str(&std::mem::take(&mut self.held));
                    self.held.push(c);
                }
                ']' if !self.held.is_empty() => {
                    self.held.push(c);
                    out.push_str(&self.close());
                }
                _ if self.held.is_empty() => out.push(c),
                _ => {
                    self.held.push(c);
                    if !c.is_ascii_digit() || self.held.len() > LONGEST_MARKER {
                        out.push_str(&std::mem::take(&mut self.held));
                    }
                }
            }
        }
        out
    }

    /// What is still held when the answer ends.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// The numbers that were cited and exist.
    #[must_use]
    pub fn cited(&self) -> &BTreeSet<usize> {
        &self.cited
    }

    fn close(&mut self) -> String {
        let marker = std::mem::take(&mut self.held);
        match marker.trim_matches(['[', ']']).parse::<usize>() {
            Ok(number) if (1..=self.passages).contains(&number) => {
                self.cited.insert(number);
                marker
            }
            // A number that exists nowhere would be a lie.
            Ok(_) => String::new(),
            Err(_) => marker,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["In Secrets [1] and [2]."], "In Secrets [1] and [2].", &[1, 2])]
    #[case(&["In Secrets [", "1", "]."], "In Secrets [1].", &[1])]
    #[case(&["Not so [7]. [0]"], "Not so . ", &[])]
    #[case(&["a[i] and [] and [[1]]"], "a[i] and [] and [[1]]", &[1])]
    #[case(&["open ["], "open [", &[])]
    fn filters(#[case] pieces: &[&str], #[case] expected: &str, #[case] cited: &[usize]) {
        let mut filter = MarkerFilter::new(2);
        let mut text: String = pieces.iter().map(|piece| filter.push(piece)).collect();
        text.push_str(&filter.finish());
        assert_eq!(text, expected);
        assert_eq!(filter.cited().iter().copied().collect::<Vec<_>>(), cited);
    }
}
