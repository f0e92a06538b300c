//! Checks the `[n]` markers of an answer while it is being written by a model.

use std::collections::BTreeSet;

use super::markdown::{self, Fence};

/// The longest number in a marker, in digits.
const LONGEST_NUMBER: usize = 3;
/// The longest marker, in bytes: a dozen numbers. More is no citation.
const LONGEST_MARKER: usize = 64;

/// Lets text through and takes out markers that name no passage. `[1, 2]` becomes `[1][2]`. Code
/// is let through as it is and cites nothing, and so is an index (`argv[7]`, `m[0][1]`).
#[derive(Debug)]
pub struct MarkerFilter {
    /// How many passages there are to cite.
    passages: usize,
    /// The beginning of what may become a marker.
    held: String,
    cited: BTreeSet<usize>,
    /// The line as far as it has come.
    line: String,
    fence: Option<Fence>,
    span: Option<Span>,
    /// Backticks just read, of which more may follow.
    backticks: usize,
    /// The next character stands behind a backslash.
    escaped: bool,
    /// What the next character stands behind.
    behind: Behind,
    /// What the bracket that is held stands behind.
    held_behind: Behind,
}

/// What a bracket stands behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Behind {
    #[default]
    Nothing,
    /// A letter, digit or underscore. Models put markers there, and programs indexes.
    Word,
    /// A bracket that is no marker: it is an index.
    Bracket,
}

/// Backticks after which code follows if as many close it in the same paragraph.
#[derive(Debug)]
struct Span {
    length: usize,
    text: String,
}

impl MarkerFilter {
    /// A filter for an answer that may cite 1 to `passages`.
    #[must_use]
    pub fn new(passages: usize) -> Self {
        Self {
            passages,
            held: String::new(),
            cited: BTreeSet::new(),
            line: String::new(),
            fence: None,
            span: None,
            backticks: 0,
            escaped: false,
            behind: Behind::Nothing,
            held_behind: Behind::Nothing,
        }
    }

    /// Text that may be shown now; an unfinished marker is held back.
    pub fn push(&mut self, text: &str) -> String {
        let mut out = String::new();
        for c in text.chars() {
            if c == '\n' {
                self.release(&mut out);
                out.push(c);
                self.end_line();
            } else if self.fence.is_some() || self.behind_tildes() {
                out.push(c);
                self.line.push(c);
            } else {
                self.step(c, &mut out);
            }
        }
        out
    }

    /// What is still held when the answer ends.
    pub fn finish(&mut self) -> String {
        self.end_line();
        self.end_paragraph();
        std::mem::take(&mut self.held)
    }

    /// The numbers that were cited and exist; complete after [`Self::finish`].
    #[must_use]
    pub fn cited(&self) -> &BTreeSet<usize> {
        &self.cited
    }

    /// One character of a line that is in no fence and opens none with tildes.
    fn step(&mut self, c: char, out: &mut String) {
        let escaped = std::mem::take(&mut self.escaped);
        if c == '`' && !escaped {
            self.release(out);
            self.backticks += 1;
            self.behind = Behind::Nothing;
            self.line.push(c);
            out.push(c);
            return;
        }
        self.end_backticks();
        self.line.push(c);
        if let Some(span) = &mut self.span {
            span.text.push(c);
            out.push(c);
            if matches!(c, ' ' | '|' | '~') && markdown::begins_block(&self.line) {
                self.end_paragraph();
            }
            return;
        }
        self.escaped = c == '\\' && !escaped;
        match c {
            '[' if self.behind != Behind::Bracket && !escaped => {
                self.release(out);
                self.held.push(c);
                self.held_behind = self.behind;
            }
            ']' if !self.held.is_empty() => {
                self.held.push(c);
                return self.close(out);
            }
            _ if self.held.is_empty() => out.push(c),
            _ if continues_marker(&self.held, c) => self.held.push(c),
            _ => {
                self.release(out);
                out.push(c);
            }
        }
        self.behind = match c {
            ']' => Behind::Bracket,
            '_' => Behind::Word,
            c if c.is_alphanumeric() => Behind::Word,
            _ => Behind::Nothing,
        };
    }

    /// The line so far opens a fence, whatever may follow.
    fn behind_tildes(&self) -> bool {
        Fence::open(&self.line).is_some_and(|fence| !fence.is_of_backticks())
    }

    /// What was held is no marker.
    fn release(&mut self, out: &mut String) {
        out.push_str(&self.held);
        self.held.clear();
    }

    /// A bracket has closed what was held.
    fn close(&mut self, out: &mut String) {
        let marker = std::mem::take(&mut self.held);
        let numbers: Option<Vec<usize>> = marker
            .trim_matches(['[', ']'])
            .split(',')
            .map(|number| number.trim_start().parse().ok())
            .collect();
        let text = numbers.and_then(|numbers| self.cite(&numbers));
        self.behind = match text {
            Some(_) => Behind::Nothing,
            None => Behind::Bracket,
        };
        out.push_str(&text.unwrap_or(marker));
    }

    /// The markers for those numbers that name a passage. `None` = they cite nothing.
    fn cite(&mut self, numbers: &[usize]) -> Option<String> {
        let passages = self.passages;
        let exists = |n: &usize| (1..=passages).contains(n);
        // With a zero it is an interval or an array, and with no passage's number anything.
        let is_list = numbers.len() > 1;
        if is_list && (numbers.contains(&0) || !numbers.iter().any(exists)) {
            return None;
        }
        if self.held_behind == Behind::Word && !numbers.iter().all(exists) {
            return None;
        }
        // A number that exists nowhere would be a lie.
        let known = || numbers.iter().copied().filter(exists);
        self.cited.extend(known());
        Some(known().map(|number| format!("[{number}]")).collect())
    }

    /// The backticks are complete: they open code, close it, or are part of it.
    fn end_backticks(&mut self) {
        let length = std::mem::take(&mut self.backticks);
        if length == 0 {
            return;
        }
        // A fence ends a paragraph, and with it what is open there.
        if Fence::open(&self.line).is_some() {
            self.end_paragraph();
        }
        match &mut self.span {
            Some(span) if span.length == length => self.span = None,
            Some(span) => span.text.push_str(&"`".repeat(length)),
            None => {
                self.span = Some(Span {
                    length,
                    text: String::new(),
                });
            }
        }
    }

    fn end_line(&mut self) {
        self.end_backticks();
        let line = std::mem::take(&mut self.line);
        self.escaped = false;
        self.behind = Behind::Nothing;
        if let Some(fence) = &self.fence {
            if fence.closed_by(&line) {
                self.fence = None;
            }
        } else if let Some(fence) = Fence::open(&line) {
            // The marks looked like a code span, as long as the line was not complete.
            self.span = None;
            self.fence = Some(fence);
        } else if markdown::ends_block(&line) {
            self.end_paragraph();
        } else if let Some(span) = &mut self.span {
            span.text.push('\n');
        }
    }

    /// Backticks that are still open were text, and so is what came after them. It has been shown,
    /// but its markers cite.
    fn end_paragraph(&mut self) {
        let Some(span) = self.span.take() else { return };
        let mut text = Self::new(self.passages);
        // What follows does not begin a line.
        text.line.push('.');
        text.push(&span.text);
        text.finish();
        self.cited.append(&mut text.cited);
    }
}

/// Text of a document for an answer: its own `[2]`, a footnote, becomes `(2)`, which nobody takes
/// for a citation of the answer. Code stays as it is, and so does an index (`argv[1]`).
#[must_use]
pub fn quoted(text: &str) -> String {
    let code = markdown::code_spans(text);
    let mut quoted = String::new();
    // Where what is not quoted yet begins, and where the last footnote ended.
    let (mut from, mut footnote) = (0, None);
    for (open, _) in text.match_indices('[') {
        let before = text[..open].chars().next_back();
        let is_index = footnote != Some(open)
            && before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ']' | '\\'));
        if is_index || code.iter().any(|span| span.contains(&open)) {
            continue;
        }
        let Some(number) = number(&text[open + 1..]) else {
            continue;
        };
        quoted.push_str(&text[from..open]);
        quoted.push_str(&format!("({number})"));
        from = open + number.len() + 2;
        footnote = Some(from);
    }
    quoted + &text[from..]
}

/// The number before the bracket that closes.
fn number(text: &str) -> Option<&str> {
    let (number, _) = text.split_once(']')?;
    let is_number = (1..=LONGEST_NUMBER).contains(&number.len());
    (is_number && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

/// Digits, with a comma and perhaps a space between numbers.
fn continues_marker(held: &str, c: char) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    held.len() < LONGEST_MARKER
        && match c {
            ',' => held.ends_with(is_digit),
            ' ' => held.ends_with(','),
            _ => is_digit(c) && held.len() - held.trim_end_matches(is_digit).len() < LONGEST_NUMBER,
        }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What two passages make of an answer that comes in these pieces.
    fn filtered<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (String, Vec<usize>) {
        let mut filter = MarkerFilter::new(2);
        let mut text: String = pieces.into_iter().map(|piece| filter.push(piece)).collect();
        text.push_str(&filter.finish());
        (text, filter.cited().iter().copied().collect())
    }

    /// The same, whole and in any two pieces.
    fn in_pieces(text: &str) -> (String, Vec<usize>) {
        let whole = filtered([text]);
        for (at, _) in text.char_indices() {
            assert_eq!(filtered([&text[..at], &text[at..]]), whole, "{text:?} {at}");
        }
        whole
    }

    #[rstest]
    #[case("In Secrets [1] and [2].", "In Secrets [1] and [2].", &[1, 2])]
    #[case("Not so [7]. [0]", "Not so . ", &[])]
    #[case("a[i] and [] and [[1]]", "a[i] and [] and [[1]]", &[1])]
    #[case("open [", "open [", &[])]
    #[case("[1][2] and [7][1]", "[1][2] and [1]", &[1, 2])]
    #[case("Both [1, 2] and [2,1].", "Both [1][2] and [2][1].", &[1, 2])]
    #[case("One of [1, 7] only", "One of [1] only", &[1])]
    #[case("From [0, 1] to [10, 20]", "From [0, 1] to [10, 20]", &[])]
    #[case("[1,] [1 ,2] [1,,2] [, 1]", "[1,] [1 ,2] [1,,2] [, 1]", &[])]
    #[case("[1,  2] [1234] [1-2]", "[1,  2] [1234] [1-2]", &[])]
    #[case("argv[7], a_[7], m[0][1], d[i][7]", "argv[7], a_[7], m[0][1], d[i][7]", &[])]
    #[case("In Secrets[1], and both[1][2].", "In Secrets[1], and both[1][2].", &[1, 2])]
    #[case("**Secrets**[1]", "**Secrets**[1]", &[1])]
    #[case("\\[7] and \\\\[7]", "\\[7] and \\\\", &[])]
    fn markers_in_text(#[case] text: &str, #[case] expected: &str, #[case] cited: &[usize]) {
        assert_eq!(in_pieces(text), (expected.to_owned(), cited.to_vec()));
    }

    #[rstest]
    #[case::span("`{.items[0].x} [7] [1]` [2]", &[2])]
    #[case::span_after_code("`argv`[1]", &[1])]
    #[case::longer_span("`` a ` [7] `b` [1] `` [2]", &[2])]
    #[case::over_lines("`a\n[7]\n` [1]", &[1])]
    #[case::fence("```sh\n[7] `x` [1]\n```\n[2]", &[2])]
    #[case::fence_of_tildes("~~~ [7]\n[7]\n```\n[1]\n~~~~\n[2]", &[2])]
    #[case::tildes_with_backticks("~~~ ` [7] ` [1]\n~~~\n[2]", &[2])]
    #[case::longer_fence("````md\n```\n[7]\n```\n[1]\n````\n[2]", &[2])]
    #[case::fence_in_a_list("1. So:\n   ```\n   [7]\n\n   [1]\n   ```\n2. x [2]", &[2])]
    #[case::fence_on_an_entry("- ```\n  [7]\n  ```\n- x [2]", &[2])]
    #[case::no_end("[2]\n```\n[7]\n\n[1]", &[2])]
    #[case::info_at_the_end("[2]\n```sh [7]", &[2])]
    #[case::fence_in_one_line("```[7]``` [1]", &[1])]
    #[case::tildes_in_text("a ~~~ [1]", &[1])]
    fn code_stays_and_cites_nothing(#[case] text: &str, #[case] cited: &[usize]) {
        assert_eq!(in_pieces(text), (text.to_owned(), cited.to_vec()));
    }

    /// What was shown while it might have been code cites when it turns out to be text.
    #[rstest]
    #[case::paragraph("a stray ` here [1]\n\nand `x[2]`", &[1])]
    #[case::end("a stray ` here [1]", &[1])]
    #[case::escaped("\\`[1]\\`", &[1])]
    #[case::entry("- a stray ` [1]\n- other `x` [2]", &[1, 2])]
    #[case::in_heading("## a stray ` [1]\nother `x` [2]", &[1, 2])]
    #[case::heading("a stray ` [1]\n## other `x` [2]", &[1, 2])]
    #[case::row("| a stray ` [1] |\n| other `x` [2] |", &[1, 2])]
    #[case::fence("a stray ` [1]\n```\nx[2] `\n```", &[1])]
    #[case::fence_like_the_span("a stray ``` [1]\n```\n[2]\n```", &[1])]
    #[case::fence_of_tildes("a stray ` [1]\n~~~ `\n[2]\n~~~", &[1])]
    #[case::span_within("a stray `` and `[2]` [1]", &[1])]
    fn open_backticks_are_text(#[case] text: &str, #[case] cited: &[usize]) {
        assert_eq!(in_pieces(text), (text.to_owned(), cited.to_vec()));
    }

    /// All texts up to a length over what the filter knows: pieces do not matter, and text without
    /// brackets, with indexes or in code is what it was.
    #[test]
    fn every_short_text_holds() {
        const LETTERS: &[&str] = &["[", "]", "1", "7", ",", "`", "```", "~~~", "a", " ", "\n"];
        let mut texts = vec![String::new()];
        let mut from = 0;
        for _ in 0..5 {
            let to = texts.len();
            for at in from..to {
                for letter in LETTERS {
                    texts.push(format!("{}{letter}", texts[at]));
                }
            }
            from = to;
        }
        for text in &texts {
            let whole = filtered([text.as_str()]);
            let characters = text
                .char_indices()
                .map(|(at, c)| &text[at..at + c.len_utf8()]);
            assert_eq!(filtered(characters), whole, "{text:?}");
            if !text.contains('[') {
                assert_eq!(whole, (text.clone(), Vec::new()));
            }
            for code in [
                format!("```\n{}\n```", text.replace("```", "``")),
                format!("~~~\n{}\n~~~", text.replace("~~~", "~~")),
                format!(
                    "x{}",
                    text.replace(['`', '~', ' ', '\n', ',', '['], "") + "[7]"
                ),
            ] {
                assert_eq!(filtered([code.as_str()]), (code.clone(), Vec::new()));
            }
        }
    }

    #[test]
    fn nothing_is_held_that_is_decided() {
        let mut filter = MarkerFilter::new(2);
        for (piece, shown) in [
            ("a [", "a "),
            ("1", ""),
            (",", ""),
            (" ", ""),
            ("2]", "[1][2]"),
            (" [12", " "),
            ("34", "[1234"),
            (" x[", " x"),
            ("1", ""),
            ("] `", "[1] `"),
            ("[", "["),
            ("1", "1"),
            ("`", "`"),
        ] {
            assert_eq!(filter.push(piece), shown, "{piece:?}");
        }
    }

    #[rstest]
    #[case("As shown [2]. Press [1][0].", "As shown (2). Press (1)(0).")]
    #[case("`a [1]` argv[1] [x] [1, 2] [", "`a [1]` argv[1] [x] [1, 2] [")]
    #[case("b` as said [2].", "b` as said (2).")]
    #[case("\\[2] m[0][1] [1234] ñ [3]", "\\[2] m[0][1] [1234] ñ (3)")]
    fn a_document_cites_nothing(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(quoted(text), expected);
    }
}
