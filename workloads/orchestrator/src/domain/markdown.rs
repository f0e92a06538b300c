//! What of Markdown matters to text that is quoted or cited: where code is, and emphasis.

use std::ops::Range;

/// Fewer marks are no fence.
const SHORTEST_FENCE: usize = 3;
/// A fence that closes may stand so much further in than the one that opened; more is code.
const MOST_INDENT: usize = 3;

/// A code fence that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    mark: char,
    length: usize,
    /// What stands before it in its line, in bytes: spaces, marks of quotes and list entries.
    indent: usize,
    in_quote: bool,
    bare: bool,
}

impl Fence {
    /// The fence that a line opens where no other is open.
    #[must_use]
    pub fn open(line: &str) -> Option<Self> {
        let fence = within_containers(line);
        let indent = line.len() - fence.len();
        let mark = fence.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = fence.trim_start_matches(mark);
        let length = fence.len() - info.len();
        // Backticks in the line that backticks open are a code span.
        if length < SHORTEST_FENCE || (mark == '`' && info.contains('`')) {
            return None;
        }
        Some(Self {
            mark,
            length,
            indent,
            in_quote: line.get(..indent).is_some_and(|head| head.contains('>')),
            bare: info.trim().is_empty(),
        })
    }

    /// It is no fence after all if another backtick comes in its line.
    #[must_use]
    pub fn is_of_backticks(&self) -> bool {
        self.mark == '`'
    }

    /// It names no language, as a fence that closes another.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// Would the other close it, if it named no language?
    #[must_use]
    pub fn resembles(&self, other: &Self) -> bool {
        !other.bare && self.mark == other.mark && other.length >= self.length
    }

    /// Does the line close it? With the same mark, no fewer of them, and nothing behind.
    #[must_use]
    pub fn closed_by(&self, line: &str) -> bool {
        let is_indent = |c: char| c.is_whitespace() || (self.in_quote && c == '>');
        let marks = line.trim_start_matches(is_indent);
        let indent = line.len() - marks.len();
        let marks = marks.trim_end();
        indent <= self.indent + MOST_INDENT
            && marks.len() >= self.length
            && marks.chars().all(|c| c == self.mark)
    }
}

/// Does a line, of which this is the beginning, end the paragraph before it? `false` until the
/// mark is complete, and again from the next character on.
#[must_use]
pub fn begins_block(line: &str) -> bool {
    let mark = within_quotes(line);
    matches!(mark, "|" | "~~~")
        || list_item(mark) == Some("")
        || (is_heading(mark) && mark.trim_start_matches('#') == " ")
}

/// Does the text of a line end with it: nothing, a heading, a row of a table?
#[must_use]
pub fn ends_block(line: &str) -> bool {
    let text = within_quotes(line);
    text.is_empty() || text.starts_with('|') || is_heading(text)
}

fn is_heading(text: &str) -> bool {
    let title = text.trim_start_matches('#');
    let level = text.len() - title.len();
    (1..=6).contains(&level) && (title.is_empty() || title.starts_with(' '))
}

fn within_quotes(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || c == '>')
}

/// The text of a list entry.
#[must_use]
pub fn list_item(line: &str) -> Option<&str> {
    let bullet = ["- ", "* ", "+ ", "• "]
        .iter()
        .find_map(|b| line.strip_prefix(b));
    let numbered = || {
        let digits = line.chars().take_while(char::is_ascii_digit).count();
        let rest = line.get(digits..)?;
        (digits > 0).then(|| rest.strip_prefix(". ").or(rest.strip_prefix(") ")))?
    };
    bullet.or_else(numbered)
}

/// A line without the marks of the quotes and list entries that it begins.
fn within_containers(line: &str) -> &str {
    let mut rest = line.trim_start();
    while let Some(inner) = rest.strip_prefix('>').or_else(|| list_item(rest)) {
        rest = inner.trim_start();
    }
    rest
}

/// Takes `**` and `__` off that stand in pairs round words, outside code. Those within a word or a
/// path stay (`A__B`, `src/**/*.rs`), and so does `__init__`: a single word is a name.
#[must_use]
pub fn without_emphasis(text: &str) -> String {
    let mut open: Vec<Delimiter> = Vec::new();
    let mut taken: Vec<usize> = Vec::new();
    for delimiter in delimiters(text) {
        let same = |o: &Delimiter| o.mark == delimiter.mark;
        let opener = delimiter.closes.then(|| open.iter().rposition(same));
        if let Some(place) = opener.flatten() {
            let from = open.drain(place..).next().map_or(0, |o| o.at);
            let is_phrase = || text[from..delimiter.at].contains(char::is_whitespace);
            if delimiter.mark == '*' || is_phrase() {
                taken.extend([from, delimiter.at]);
            }
        } else if delimiter.opens {
            open.push(delimiter);
        }
    }
    let is_taken = |at: usize| {
        let other = at.checked_sub(1);
        taken.contains(&at) || other.is_some_and(|other| taken.contains(&other))
    };
    text.char_indices()
        .filter(|(at, _)| !is_taken(*at))
        .map(|(_, c)| c)
        .collect()
}

/// Two marks, which may begin or end strong emphasis.
#[derive(Debug)]
struct Delimiter {
    at: usize,
    mark: char,
    opens: bool,
    closes: bool,
}

fn delimiters(text: &str) -> Vec<Delimiter> {
    let code = code_spans(text);
    let mut delimiters = Vec::new();
    let mut from = 0;
    while let Some(found) = text[from..].find(['*', '_']) {
        let at = from + found;
        let marks = &text[at..];
        let mark = if marks.starts_with('*') { '*' } else { '_' };
        let rest = marks.trim_start_matches(mark);
        from = text.len() - rest.len();
        let before = text[..at].chars().next_back();
        let after = rest.chars().next();
        let in_code = code.iter().any(|span| span.contains(&at));
        // One mark is light emphasis or part of a name, four are a rule or a mask.
        if !in_code && matches!(from - at, 2 | 3) {
            delimiters.push(Delimiter {
                at,
                mark,
                opens: is_edge(before) && is_inner(after),
                closes: is_inner(before) && is_edge(after),
            });
        }
    }
    delimiters
}

/// May emphasis end towards this character? The end of the text, a space, or punctuation that is
/// not part of paths and names.
fn is_edge(outside: Option<char>) -> bool {
    outside.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '/' | '\\' | '_'))
}

/// May emphasis begin or end with this character?
fn is_inner(inside: Option<char>) -> bool {
    inside.is_some_and(|c| !c.is_whitespace() && !matches!(c, '/' | '\\'))
}

/// Where the code spans of a paragraph are, with their backticks.
pub fn code_spans(text: &str) -> Vec<Range<usize>> {
    let runs = backtick_runs(text);
    let mut spans: Vec<Range<usize>> = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        if spans.last().is_some_and(|span| run.start < span.end) {
            continue;
        }
        let slashes = text[..run.start].len() - text[..run.start].trim_end_matches('\\').len();
        let start = run.start + slashes % 2;
        let closes = |end: &&Range<usize>| start < run.end && end.len() == run.end - start;
        if let Some(end) = runs[place + 1..].iter().find(closes) {
            spans.push(start..end.end);
        }
    }
    spans
}

fn backtick_runs(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices('`') {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("```", "```", true)]
    #[case("```sh", "`````  ", true)]
    #[case("~~~ a `b` c", "~~~", true)]
    #[case("````", "```", false)]
    #[case("```", "~~~", false)]
    #[case("```", "```sh", false)]
    #[case("```", "    ```", false)]
    #[case("  - ```", "    ```", true)]
    #[case("1. ~~~", "   ~~~", true)]
    #[case("> ```", "> ```", true)]
    #[case("```", "> ```", false)]
    #[case("```", "", false)]
    fn a_fence_closes(#[case] opening: &str, #[case] closing: &str, #[case] closes: bool) {
        assert_eq!(Fence::open(opening).unwrap().closed_by(closing), closes);
    }

    #[rstest]
    #[case("``")]
    #[case("```a``` and more")]
    #[case("a ```")]
    #[case("-```")]
    #[case("")]
    fn no_fence_opens(#[case] line: &str) {
        assert_eq!(Fence::open(line), None);
    }

    #[rstest]
    #[case("A **bold word** here", "A bold word here")]
    #[case("**All of it.**", "All of it.")]
    #[case("(**this**), ¿**eso**?", "(this), ¿eso?")]
    #[case("***both of them***", "*both of them*")]
    #[case("a __strong phrase__ of it", "a strong phrase of it")]
    #[case("**a __b c__ d**", "a b c d")]
    #[case("QDRANT__SERVICE__ALT_API_KEY", "QDRANT__SERVICE__ALT_API_KEY")]
    #[case("__init__ and __all__.", "__init__ and __all__.")]
    #[case("src/**/*.rs and docs/**/*.md", "src/**/*.rs and docs/**/*.md")]
    #[case("**/*.rs and docs/**", "**/*.rs and docs/**")]
    #[case("2**8 or 3 ** 2", "2**8 or 3 ** 2")]
    #[case("`**a b**` and ``__a ` b__``", "`**a b**` and ``__a ` b__``")]
    #[case("\\` **bold** \\`", "\\` bold \\`")]
    #[case("a stray ` and **bold**", "a stray ` and bold")]
    #[case("**open only", "**open only")]
    #[case("**kwargs and **opts", "**kwargs and **opts")]
    #[case("password: ****", "password: ****")]
    fn emphasis_goes_in_pairs(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(without_emphasis(text), expected);
    }
}
