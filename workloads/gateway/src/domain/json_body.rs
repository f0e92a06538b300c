//! JSON of request bodies.

use axum::http::StatusCode;
use serde_json::Value;

use crate::failure::Failure;

/// Most lists and objects of a body. An empty one is two bytes of text and some hundred in memory.
const MAX_NESTS: usize = 8_192;
/// Most commas of most bodies: there is no more than one value for each of these and of those.
const MAX_COMMAS: usize = 32_768;
/// A body that is so short has no more of either.
const SHORT_BYTES: usize = 2 * MAX_NESTS;

/// Reads a request body.
///
/// # Errors
/// 400 that says where it breaks, 413 for more values than any request needs.
pub fn read(body: &[u8]) -> Result<Value, Failure> {
    read_long(body, MAX_COMMAS)
}

/// Reads one with long lists, of so many commas in all.
///
/// # Errors
/// Those of [`read`].
pub(super) fn read_long(body: &[u8], max_commas: usize) -> Result<Value, Failure> {
    let text = std::str::from_utf8(body).map_err(|error| {
        bad_json(format!(
            "the request body is not UTF-8 at byte {}",
            error.valid_up_to()
        ))
    })?;
    // Before anything is made of it: the text is bounded, and what it becomes must be as well.
    if body.len() > SHORT_BYTES {
        let Marks { nests, commas } = Marks::of(body);
        if nests > MAX_NESTS || commas > max_commas {
            return Err(too_many(max_commas));
        }
    }
    serde_json::from_str(text).map_err(|error| {
        bad_json(format!(
            "the request body is not JSON at line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

/// What a text is made of, apart from its strings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Marks {
    nests: usize,
    commas: usize,
}

impl Marks {
    /// Of JSON. Of what is none, up to where it breaks at least.
    fn of(text: &[u8]) -> Self {
        let mut marks = Self::default();
        let mut bytes = text.iter();
        let mut is_string = false;
        while let Some(byte) = bytes.next() {
            match (is_string, byte) {
                (_, b'"') => is_string = !is_string,
                // Whatever it is, it does not end the string.
                (true, b'\\') => drop(bytes.next()),
                (false, b'[' | b'{') => marks.nests += 1,
                (false, b',') => marks.commas += 1,
                _ => {}
            }
        }
        marks
    }
}

fn bad_json(message: String) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid_json", message)
}

fn too_many(max_commas: usize) -> Failure {
    let message = format!(
        "the request body has more than {MAX_NESTS} lists and objects, or {max_commas} commas \
         between values; send less"
    );
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(body: &str) -> String {
        read(body.as_bytes()).unwrap_err().code.into_owned()
    }

    #[test]
    fn strings_are_no_marks() {
        let text = r#"{"a,[{": ["\"[,", "\\", {}], "b": "\\\","}"#;
        let marks = Marks {
            nests: 3,
            commas: 3,
        };
        assert_eq!(Marks::of(text.as_bytes()), marks);
        assert!(read(text.as_bytes()).is_ok());
    }

    #[test]
    fn a_body_becomes_no_more_than_any_request_needs() {
        let lists = |count: usize| format!("[{}[]]", "[],".repeat(count - 2));
        let numbers = |commas: usize| format!("[{}0]", "0,".repeat(commas));
        let deep = "[".repeat(100) + &"]".repeat(100);
        let nested = |count: usize| format!("[{}0]", format!("{deep},").repeat(count));
        for (within, beyond) in [
            (lists(MAX_NESTS), lists(MAX_NESTS + 1)),
            (numbers(MAX_COMMAS), numbers(MAX_COMMAS + 1)),
            (nested(81), nested(82)),
        ] {
            assert!(read(within.as_bytes()).is_ok());
            assert_eq!(code(&beyond), "request_too_large");
        }
        let long = numbers(MAX_COMMAS + 1);
        assert!(read_long(long.as_bytes(), MAX_COMMAS + 1).is_ok());
        // The control: a long text is one value.
        let text = json!(",[{".repeat(300_000)).to_string();
        assert!(read(text.as_bytes()).is_ok());
    }

    #[test]
    fn what_breaks_is_said_to_break() {
        assert_eq!(
            code(&format!("{{\"a\": \"{}", "[".repeat(20_000))),
            "invalid_json"
        );
        assert_eq!(code("{"), "invalid_json");
        assert_eq!(read(b"\"\xff\"").unwrap_err().code, "invalid_json");
    }
}
