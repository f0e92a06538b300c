//! Texts as HTML.

/// A text in which nothing is a mark.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A text with `code` in backticks.
pub(super) fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (place, part) in text.split('`').enumerate() {
        let part = escape(part);
        // The parts with odd numbers stand between two backticks.
        if place % 2 == 0 {
            out.push_str(&part);
        } else {
            out.push_str("<code>");
            out.push_str(&part);
            out.push_str("</code>");
        }
    }
    out
}

/// Paragraphs.
pub(super) fn prose(text: &str) -> String {
    text.split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
        .map(|paragraph| format!("<p>{}</p>", inline(paragraph)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_mark() {
        let text = r#"<script src='x'>a & "b"</script>"#;
        let escaped = escape(text);
        assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
        assert_eq!(escape("a & b"), "a &amp; b");
    }

    #[test]
    fn code_and_paragraphs_are_kept() {
        assert_eq!(
            prose("a `<b>`\n\nc"),
            "<p>a <code>&lt;b&gt;</code></p><p>c</p>"
        );
        assert_eq!(prose(""), "");
    }
}
