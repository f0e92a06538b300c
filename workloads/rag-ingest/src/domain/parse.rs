//! Bytes to Markdown text.

mod html;

use snafu::Snafu;
use unicode_normalization::UnicodeNormalization;

/// Why a document has no text that could be indexed. Each message is for the uploader.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
pub enum ParseError {
    /// The media type has no parser.
    #[snafu(display(
        "documents of type {media_type:?} cannot be indexed; upload text, Markdown or HTML"
    ))]
    UnsupportedMediaType {
        /// As decided at upload.
        media_type: String,
    },
    /// The bytes are no UTF-8.
    #[snafu(display(
        "the text is not valid UTF-8 (byte {offset}); save it as UTF-8 and upload it again"
    ))]
    NotUtf8 {
        /// Position of the first wrong byte.
        offset: usize,
    },
    /// The page could not be read.
    #[snafu(display("the HTML cannot be read: {cause}"))]
    BadHtml {
        /// What the parser says.
        cause: String,
    },
    /// The page is nested so deeply that nobody wrote it by hand.
    #[snafu(display(
        "the HTML has elements within elements more than {limit} deep; \
         save the page without its layout and upload it again"
    ))]
    NestedTooDeeply {
        /// The limit.
        limit: usize,
    },
    /// Reading the page takes too long.
    #[snafu(display(
        "the HTML takes longer than {seconds} s to read; \
         save the page without its layout, or split it, and upload it again"
    ))]
    TooComplex {
        /// The limit.
        seconds: u64,
    },
    /// The page asks for more elements than fit into memory.
    #[snafu(display(
        "the HTML has more than {limit} elements, attributes and texts, those counted that go on \
         in each paragraph because they were never ended; \
         save the page without its layout, or split it, and upload it again"
    ))]
    TooManyParts {
        /// The limit.
        limit: usize,
    },
    /// The text of the page does not fit into memory.
    #[snafu(display(
        "the HTML becomes more than {limit} bytes of text, because quotes, lists or links are \
         within each other too often; \
         save the page without its layout, or split it, and upload it again"
    ))]
    TooMuchText {
        /// The limit.
        limit: usize,
    },
    /// Nothing is left to index.
    #[snafu(display("the document holds no text"))]
    Empty,
}

impl ParseError {
    /// A stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedMediaType { .. } => "unsupported_media_type",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::BadHtml { .. }
            | Self::NestedTooDeeply { .. }
            | Self::TooComplex { .. }
            | Self::TooManyParts { .. }
            | Self::TooMuchText { .. } => "bad_html",
            Self::Empty => "empty_document",
        }
    }
}

/// The text of a document: normalised (NFC, `\n`), without control characters.
///
/// # Errors
/// The document has no text that could be indexed.
pub fn parse(media_type: &str, bytes: &[u8]) -> Result<String, ParseError> {
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| ParseError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    let text = match essence.as_str() {
        "text/plain" | "text/markdown" => text.to_owned(),
        "text/html" => html::to_markdown(text)?,
        _ => {
            return Err(ParseError::UnsupportedMediaType {
                media_type: media_type.to_owned(),
            });
        }
    };
    let text = normalise(&text);
    if text.trim().is_empty() {
        Err(ParseError::Empty)
    } else {
        Ok(text)
    }
}

fn normalise(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .nfc()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("text/plain", b"one\r\ntwo\rthree", "one\ntwo\nthree")]
    #[case("text/markdown; charset=utf-8", b"# T\n\nx", "# T\n\nx")]
    #[case("text/plain", b"\xef\xbb\xbfwith a mark", "with a mark")]
    #[case("text/plain", "e\u{301}".as_bytes(), "\u{e9}")]
    #[case("text/plain", b"a\x00b\x1bc", "abc")]
    fn text_is_normalised(#[case] media: &str, #[case] bytes: &[u8], #[case] expected: &str) {
        assert_eq!(parse(media, bytes).unwrap(), expected);
    }

    #[test]
    fn a_page_becomes_markdown_without_its_scripts() {
        let page = b"<html><head><title>t</title><style>p{}</style></head><body><nav>menu</nav>\
            <h1>Access</h1><script>alert(1)</script><p>The gate is <b>seven</b>.</p></body></html>";
        let text = parse("text/html", page).unwrap();
        assert!(
            text.contains("# Access") && text.contains("The gate is **seven**."),
            "{text}"
        );
        assert!(
            !text.contains("alert") && !text.contains("menu") && !text.contains("p{}"),
            "{text}"
        );
    }

    #[rstest]
    // Far more than any stack holds.
    #[case::blocks("<div>".repeat(100_000))]
    #[case::closed(format!("{}x{}", "<div>".repeat(100_000), "</div>".repeat(100_000)))]
    #[case::lists("<ul><li>".repeat(50_000))]
    #[case::formatting("<b><i>".repeat(50_000))]
    // A table's stray content is put before the table, beside the last child.
    #[case::in_front_of_a_table(format!("<table>{}", "<div>".repeat(2_000)))]
    #[case::in_an_attribute(format!("<p title='>'>{}", "<span a='<'>".repeat(2_000)))]
    fn deep_nesting_is_refused_and_does_not_overflow(#[case] page: String) {
        let error = parse("text/html", page.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ParseError::NestedTooDeeply { .. }),
            "{error}"
        );
        assert_eq!(error.code(), "bad_html");
    }

    #[test]
    fn what_is_only_long_is_not_nested() {
        let page = format!(
            "{}{}{}",
            "<p>one<br>two".repeat(5_000),
            "<ul>".to_owned() + &"<li>item".repeat(5_000) + "</ul>",
            "<script>if (a<b) { '<div>' }</script><!-- <div> -->".repeat(1_000)
        );
        let text = parse("text/html", page.as_bytes()).unwrap();
        assert_eq!(text.matches("item").count(), 5_000);
    }

    #[test]
    fn the_deepest_page_that_is_taken_is_converted() {
        // The document, `html`, `body` and the text are levels as well.
        let levels = html::MAX_DEPTH - 4;
        let page = format!("{}deep{}", "<div>".repeat(levels), "</div>".repeat(levels));
        assert_eq!(parse("text/html", page.as_bytes()).unwrap(), "deep");
        let page = format!("{}deep", "<div>".repeat(levels + 1));
        assert!(parse("text/html", page.as_bytes()).is_err());
    }

    #[rstest]
    #[case("application/pdf", b"%PDF", "unsupported_media_type")]
    #[case("text/plain", b"ok\xff", "not_utf8")]
    #[case("text/plain", b" \n\t ", "empty_document")]
    #[case("text/html", b"<script>x</script>", "empty_document")]
    fn what_has_no_text_is_refused(#[case] media: &str, #[case] bytes: &[u8], #[case] code: &str) {
        assert_eq!(parse(media, bytes).unwrap_err().code(), code);
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..2048), page: bool) {
            let media = if page { "text/html" } else { "text/plain" };
            if let Ok(text) = parse(media, &bytes) {
                prop_assert!(!text.trim().is_empty());
            }
        }
    }
}
