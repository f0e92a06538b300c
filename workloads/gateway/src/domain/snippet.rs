//! Where a text has the words that somebody looked for.

use serde::Serialize;

/// Two characters that mean nothing, and so can stand around a word: its begin and its end.
pub const MARKS: &str = "\u{e000}\u{e001}";
const BEGIN: char = '\u{e000}';
const END: char = '\u{e001}';

/// A piece of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Piece {
    /// Text, as it was written.
    pub text: String,
    /// Whether it is a word that was looked for.
    pub is_match: bool,
}

/// How PostgreSQL cuts a snippet, of about two lines.
pub fn options() -> String {
    format!("MaxFragments=1, MinWords=12, MaxWords=30, StartSel={BEGIN}, StopSel={END}")
}

/// The pieces of a snippet. `marked` has marks around words and may lack accents; `written` is the
/// same text as it was written, where that could be found.
pub fn pieces(marked: &str, written: Option<&str>) -> Vec<Piece> {
    let is_mark = |c: &char| MARKS.contains(*c);
    let count = marked.chars().filter(|c| !is_mark(c)).count();
    let mut written = written
        .filter(|written| written.chars().count() == count)
        .map(str::chars);
    let mut pieces = vec![Piece::default()];
    for c in marked.chars() {
        if is_mark(&c) {
            pieces.push(Piece {
                text: String::new(),
                is_match: c == BEGIN,
            });
            continue;
        }
        let c = written.as_mut().and_then(Iterator::next).unwrap_or(c);
        if let Some(piece) = pieces.last_mut() {
            piece.text.push(c);
        }
    }
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(marked: &str, written: Option<&str>) -> Vec<(String, bool)> {
        let pieces = pieces(marked, written).into_iter();
        pieces.map(|it| (it.text, it.is_match)).collect()
    }

    #[test]
    fn words_stand_apart_and_text_stays_text() {
        assert_eq!(
            shown("the \u{e000}days\u{e001} <b>&", None),
            [
                ("the ".to_owned(), false),
                ("days".to_owned(), true),
                (" <b>&".to_owned(), false)
            ]
        );
        assert_eq!(shown("", None), []);
    }

    #[test]
    fn accents_come_back_where_the_text_is_known() {
        let marked = "la \u{e000}informacion\u{e001} esta";
        let written = shown(marked, Some("la información está"));
        assert_eq!(written[1], ("información".to_owned(), true));
        assert_eq!(written[2], (" está".to_owned(), false));
        // Another text of another length is none.
        assert_eq!(shown(marked, Some("la información"))[1].0, "informacion");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_added(marked in "[a-z<>&\u{e000}\u{e001} ]{0,40}") {
            let text: String = pieces(&marked, None).into_iter().map(|it| it.text).collect();
            let plain: String = marked.chars().filter(|c| !MARKS.contains(*c)).collect();
            prop_assert_eq!(text, plain);
        }
    }
}
