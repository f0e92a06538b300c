//! What may be uploaded. The extension says what a file claims to be; its bytes must agree: valid
//! UTF-8 without NUL.

use axum::http::StatusCode;

use crate::failure::Failure;

const MAX_KNOWLEDGE_BASE: usize = 63;

/// What a file is to be, beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Cleaned name.
    pub name: String,
    /// Media type, by the name.
    pub media_type: String,
    /// Knowledge base.
    pub knowledge_base: String,
}

/// Extensions and what they mean.
const TYPES: &[(&str, &str)] = &[
    ("txt", "text/plain"),
    ("text", "text/plain"),
    ("log", "text/plain"),
    ("md", "text/markdown"),
    ("markdown", "text/markdown"),
    ("html", "text/html"),
    ("htm", "text/html"),
];

/// The media type of a file by its name.
///
/// # Errors
/// 415 with the allowed list.
pub fn media_type(name: &str) -> Result<&'static str, Failure> {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map(|(_, media_type)| *media_type)
        .ok_or_else(|| unsupported(&format!("{name:?} is not of a type that can be read")))
}

/// 415 with the allowed list.
pub fn unsupported(cause: &str) -> Failure {
    let mut failure = Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!(
            "{cause}; allowed are text/plain (.txt, .text, .log), text/markdown (.md, .markdown) \
             and text/html (.html, .htm) in UTF-8"
        ),
    );
    failure.param = Some("file".to_owned());
    failure
}

/// 413 for a file that is larger than `max` bytes.
pub fn too_large(max: u64) -> Failure {
    let mut failure = Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "document_too_large",
        format!("the file is larger than {max} bytes; split it"),
    );
    failure.param = Some("file".to_owned());
    failure
}

/// 400 for a file without bytes.
pub fn empty() -> Failure {
    Failure::invalid("file", "the file is empty")
}

/// Checks a knowledge base name: a DNS label.
///
/// # Errors
/// 400 when it is not one.
pub fn knowledge_base(name: &str) -> Result<&str, Failure> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty()
        || name.len() > MAX_KNOWLEDGE_BASE
        || !name.chars().all(plain)
        || name.starts_with('-')
        || name.ends_with('-')
    {
        return Err(Failure::invalid(
            "knowledge_base",
            "knowledge_base must be 1 to 63 lower-case letters, digits or hyphens",
        ));
    }
    Ok(name)
}

/// Says, chunk by chunk, whether bytes are text.
#[derive(Debug, Default)]
pub struct TextCheck {
    // The beginning of a character that the last chunk cut in two: at most three bytes.
    pending: Vec<u8>,
}

impl TextCheck {
    /// Takes the next chunk.
    ///
    /// # Errors
    /// 415 when it cannot be UTF-8 text.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        if chunk.contains(&0) {
            return Err(unsupported("the file holds binary data"));
        }
        // Join the cut character with as few bytes as complete it.
        let mut rest = chunk;
        while !self.pending.is_empty() {
            let Some((next, after)) = rest.split_first() else {
                return Ok(());
            };
            self.pending.push(*next);
            rest = after;
            match std::str::from_utf8(&self.pending) {
                Ok(_) => self.pending.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(unsupported("the file is not UTF-8")),
            }
        }
        match std::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                self.pending = rest.get(error.valid_up_to()..).unwrap_or_default().to_vec();
                Ok(())
            }
            Err(_) => Err(unsupported("the file is not UTF-8")),
        }
    }

    /// Checks the end.
    ///
    /// # Errors
    /// 415 when the last character is cut off.
    pub fn end(self) -> Result<(), Failure> {
        if self.pending.is_empty() {
            Ok(())
        } else {
            Err(unsupported("the file is not UTF-8"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("a.txt", Some("text/plain"))]
    #[case("a.MD", Some("text/markdown"))]
    #[case("a.b.html", Some("text/html"))]
    #[case("a.pdf", None)]
    #[case("a", None)]
    #[case("txt", None)]
    #[case("a.txt.exe", None)]
    fn types_by_extension(#[case] name: &str, #[case] expected: Option<&str>) {
        match (media_type(name), expected) {
            (Ok(actual), Some(expected)) => assert_eq!(actual, expected),
            (Err(failure), None) => {
                assert_eq!(failure.code, "unsupported_media_type");
                assert!(failure.message.contains("text/markdown (.md"));
            }
            (actual, _) => panic!("{actual:?}"),
        }
    }

    fn check(bytes: &[u8], chunk: usize) -> Result<(), Failure> {
        let mut check = TextCheck::default();
        for chunk in bytes.chunks(chunk) {
            check.push(chunk)?;
        }
        check.end()
    }

    #[rstest::rstest]
    #[case("plain".as_bytes(), true)]
    #[case("año 日本 🦜".as_bytes(), true)]
    #[case("\u{feff}bom".as_bytes(), true)]
    #[case(b"latin\xf1", false)]
    #[case(b"\xf0\x9f", false)]
    #[case(b"\xed\xa0\x80", false)]
    #[case(b"%PDF-1.7\x00", false)]
    #[case(b"a\xffb", false)]
    fn text_is_told_from_bytes_however_it_is_cut(#[case] bytes: &[u8], #[case] text: bool) {
        for chunk in 1..=bytes.len() {
            assert_eq!(check(bytes, chunk).is_ok(), text, "in chunks of {chunk}");
        }
    }

    #[rstest::rstest]
    #[case("default", true)]
    #[case("hr-2026", true)]
    #[case("", false)]
    #[case("HR", false)]
    #[case("-a", false)]
    #[case("a/b", false)]
    #[case("*", false)]
    fn knowledge_base_names(#[case] name: &str, #[case] accepted: bool) {
        assert_eq!(knowledge_base(name).is_ok(), accepted);
    }
}
