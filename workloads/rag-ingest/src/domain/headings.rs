//! Which lines of a Markdown text are its headings.

/// Spaces before a line from which on it is code, or belongs to a list item.
const CODE_INDENTATION: usize = 4;

/// Byte offset and text of every ATX heading that stands outside a code fence.
pub(super) fn headings(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut offset = 0;
    let mut fence: Option<Fence> = None;
    for line in text.split_inclusive('\n') {
        let open = fence.filter(|fence| fence.holds(line));
        fence = match open {
            Some(open) => (!open.is_closed_by(line)).then_some(open),
            None => Fence::opened_by(line),
        };
        if open.is_none()
            && let Some(title) = title(line)
        {
            found.push((offset, title));
        }
        offset += line.len();
    }
    found
}

fn title(line: &str) -> Option<&str> {
    let (spaces, marked) = indentation(line);
    let title = marked.trim_start_matches('#');
    let level = marked.len() - title.len();
    let is_heading =
        spaces < CODE_INDENTATION && (1..=6).contains(&level) && title.starts_with(' ');
    is_heading.then(|| title.trim())
}

/// A code block that was opened, as CommonMark has it.
#[derive(Debug, Clone, Copy)]
struct Fence {
    mark: char,
    length: usize,
    /// Where the text of the list item begins that it is in.
    column: usize,
    /// Where it begins itself.
    begins: usize,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let (column, content) = list_item(line);
        let (spaces, fence) = indentation(content);
        let mark = fence.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = fence.trim_start_matches(mark);
        let length = fence.len() - info.len();
        // Backticks behind it make a span of code within one line.
        let is_span = mark == '`' && info.contains('`');
        (spaces < CODE_INDENTATION && length >= 3 && !is_span).then_some(Self {
            mark,
            length,
            column,
            begins: column + spaces,
        })
    }

    /// Whether the line is still in the list item that the fence is in.
    fn holds(self, line: &str) -> bool {
        let (spaces, content) = indentation(line);
        spaces >= self.column || content.trim().is_empty()
    }

    fn is_closed_by(self, line: &str) -> bool {
        let (spaces, fence) = indentation(line);
        let rest = fence.trim_start_matches(self.mark);
        spaces < self.begins + CODE_INDENTATION
            && fence.len() - rest.len() >= self.length
            && rest.trim().is_empty()
    }
}

/// The text of a list item that begins here, with its column; of another line, the line.
fn list_item(line: &str) -> (usize, &str) {
    let (spaces, item) = indentation(line);
    let number = item.trim_start_matches(|c: char| c.is_ascii_digit());
    let text = if number.len() == item.len() {
        item.strip_prefix(['-', '*', '+'])
    } else {
        number.strip_prefix(['.', ')'])
    };
    match text.and_then(|text| text.strip_prefix(' ')) {
        Some(text) if spaces < CODE_INDENTATION => (line.len() - text.len(), text),
        _ => (0, line),
    }
}

/// The spaces before a line, and what is behind them.
fn indentation(line: &str) -> (usize, &str) {
    let content = line.trim_start_matches(' ');
    (line.len() - content.len(), content)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none("# a\n# b\n", &["a", "b"])]
    #[case::closed("# a\n```sh\n# no\n```\n# b\n", &["a", "b"])]
    #[case::never_closed("# a\n```\n# no\n", &["a"])]
    #[case::longer_end("~~~\n# no\n~~~~\n# b\n", &["b"])]
    #[case::shorter_end("````\n```\n# no\n```\n# no\n````\n# b\n", &["b"])]
    #[case::other_mark("```\n~~~\n# no\n```\n# b\n", &["b"])]
    #[case::traceback("```\n    f(x)\n    ~~~~^^^^\n# no\n```\n# b\n", &["b"])]
    #[case::traceback_at_the_margin("~~~\n~~~~^^^^\n# no\n~~~\n# b\n", &["b"])]
    #[case::end_with_words("```\n# no\n``` sh\n# no\n```\n# b\n", &["b"])]
    #[case::inline("```inline```\n# b\n", &["b"])]
    #[case::tildes_may_hold_backticks("~~~ a`b`\n# no\n~~~\n# b\n", &["b"])]
    #[case::indented_by_three("   ```\n# no\n   ```\n   # b\n", &["b"])]
    #[case::indented_by_four("    ```\n# b\n    # no\n", &["b"])]
    #[case::end_indented_by_four("```\n    ```\n# no\n```\n# b\n", &["b"])]
    #[case::in_a_list("- ```\n  # no\n  ```\n# b\n", &["b"])]
    #[case::in_a_numbered_list("10. ```\n    # no\n    ```\n# b\n", &["b"])]
    #[case::end_deeper_than_its_item("1. x\n   ```sh\n   # no\n    ```\n# b\n", &["b"])]
    #[case::ended_by_the_end_of_the_item("- ```\n\n  # no\n\n# b\n", &["b"])]
    #[case::no_heading("#a\n####### b\n#\n", &[])]
    fn a_heading_stands_outside_of_code(#[case] text: &str, #[case] expected: &[&str]) {
        let found = headings(text);
        let titles: Vec<&str> = found.iter().map(|(_, title)| *title).collect();
        assert_eq!(titles, expected);
        for (offset, title) in found {
            let line = text[offset..].lines().next().unwrap();
            assert!(
                line.trim_start().starts_with('#') && line.ends_with(title),
                "{line}"
            );
        }
    }
}
