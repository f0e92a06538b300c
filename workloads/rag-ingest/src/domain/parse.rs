//! Bytes to Markdown text.

use snafu::Snafu;
use unicode_normalization::UnicodeNormalization;

/// Elements of a page that hold no text for readers.
const NO_TEXT: [&str; 8] = [
    "script", "style", "noscript", "template", "nav", "svg", "iframe", "head",
];

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
            Self::BadHtml { .. } => "bad_html",
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
        "text/html" => html(text)?,
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

fn html(text: &str) -> Result<String, ParseError> {
    let converter = htmd::HtmlToMarkdown::builder()
        .skip_tags(NO_TEXT.to_vec())
        .build();
    converter
        .convert(text)
        .map_err(|error| ParseError::BadHtml {
            cause: error.to_string(),
        })
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
