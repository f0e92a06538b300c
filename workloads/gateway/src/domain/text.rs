//! Small rules for texts.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// PostgreSQL keeps no NUL in text or JSON; what models and documents bring loses theirs here.
pub fn without_nul(text: &str) -> String {
    if text.contains('\0') {
        text.replace('\0', "")
    } else {
        text.to_owned()
    }
}

/// The first line of a question as the title of its conversation, at most 80 characters.
pub fn title(question: &str) -> String {
    const MAX: usize = 80;
    let line = question
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("…");
    if line.chars().count() <= MAX {
        return line.to_owned();
    }
    let mut title: String = line.chars().take(MAX - 1).collect();
    title.push('…');
    title
}

/// The name of an uploaded file: its last path segment without control characters, at most 200
/// characters. Composed (NFC), since systems write the same name in either way. `None` when nothing is
/// left.
pub fn file_name(name: &str) -> Option<String> {
    const MAX: usize = 200;
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .nfc()
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .collect();
    // Dots and spaces together: of `. .` a dot would be left, which is a directory.
    let clean = clean
        .trim_start_matches(|c: char| c == '.' || c.is_whitespace())
        .trim_end();
    if clean.is_empty() {
        return None;
    }
    if clean.chars().count() <= MAX {
        return Some(clean.to_owned());
    }
    // The end stays: it holds the extension.
    let skip = clean.chars().count() - MAX;
    Some(clean.chars().skip(skip).collect())
}

/// Characters that reorder or hide others, so that `txt.exe` could be shown as `exe.txt`.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{feff}')
}

/// JSON text as JSON, and anything else as a JSON string.
pub fn json_or_text(text: &str) -> serde_json::Value {
    let text: Cow<'_, str> = if text.contains('\0') {
        text.replace('\0', "").into()
    } else {
        text.into()
    };
    // An escaped NUL inside JSON cannot be stored either, so such JSON stays text.
    match serde_json::from_str(&text) {
        Ok(value) if !text.contains("\\u0000") => value,
        _ => serde_json::Value::String(text.replace("\\u0000", "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("report.txt", Some("report.txt"))]
    #[case("../../etc/passwd", Some("passwd"))]
    #[case("C:\\Users\\ana\\informe año.md", Some("informe año.md"))]
    #[case("a\r\nb.txt", Some("ab.txt"))]
    #[case(".htaccess", Some("htaccess"))]
    #[case("exe\u{202e}txt.md", Some("exetxt.md"))]
    #[case("  ", None)]
    #[case("..", None)]
    #[case(". .", None)]
    #[case(". .. a.md", Some("a.md"))]
    #[case("dir/", None)]
    #[case("Poli\u{301}tica.md", Some("Política.md"))]
    fn file_names(#[case] given: &str, #[case] expected: Option<&str>) {
        assert_eq!(file_name(given).as_deref(), expected);
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = file_name(&format!("{}.md", "ñ".repeat(500))).unwrap();
        assert_eq!(name.chars().count(), 200);
        assert!(name.ends_with(".md"));
    }

    #[test]
    fn titles_are_one_short_line() {
        assert_eq!(title("\n  ¿Qué hay?\nmás"), "¿Qué hay?");
        assert_eq!(title(" \n"), "…");
        assert_eq!(title(&"x".repeat(300)).chars().count(), 80);
    }

    #[test]
    fn arguments_are_json_where_they_can_be() {
        assert_eq!(json_or_text(r#"{"a":1}"#), serde_json::json!({"a": 1}));
        assert_eq!(json_or_text("plain\0"), serde_json::json!("plain"));
        assert!(json_or_text(r#"{"a":"\u0000"}"#).is_string());
    }
}
