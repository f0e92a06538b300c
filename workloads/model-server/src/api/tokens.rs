//! Texts that come as token numbers of OpenAI's vocabulary `cl100k_base`: clients of its API cut long
//! texts there, and take it for models that they do not know. The vocabulary is in the binary and is
//! read when the first such text comes.

use tiktoken_rs::{DecodeKeyError, cl100k_base_singleton};

/// A number that is no token's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// Where it stands.
    pub(super) place: usize,
    /// The number.
    pub(super) number: u32,
}

/// The text of the tokens. One that was cut within a character begins or ends with U+FFFD.
///
/// # Errors
/// The first number that is no token's.
pub(super) fn text_of(numbers: &[u32]) -> Result<String, Unknown> {
    let bytes = cl100k_base_singleton().decode_bytes(numbers);
    let bytes = bytes.map_err(|DecodeKeyError { token }| Unknown {
        place: numbers.iter().position(|it| *it == token).unwrap_or(0),
        number: token,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Numbers as OpenAI's `tiktoken` gives them.
    #[rstest]
    #[case(&[15339, 1917], "hello world")]
    #[case(&[83, 1609, 5963, 374, 2294, 0], "tiktoken is great!")]
    #[case(&[100_257], "<|endoftext|>")]
    #[case(&[], "")]
    fn known_numbers_are_read(#[case] numbers: &[u32], #[case] text: &str) {
        assert_eq!(text_of(numbers).as_deref(), Ok(text));
    }

    #[rstest]
    #[case("¿Cuántos días de vacaciones hay?")]
    #[case("数字 — ñandú 😀\n\tfn main() {}")]
    fn what_was_cut_into_tokens_is_put_together_again(#[case] text: &str) {
        let numbers = cl100k_base_singleton().encode_ordinary(text);
        assert!(numbers.len() > 1);
        assert_eq!(text_of(&numbers).as_deref(), Ok(text));
    }

    #[test]
    fn a_cut_within_a_character_is_marked() {
        let numbers = cl100k_base_singleton().encode_ordinary("😀");
        assert!(numbers.len() > 1, "{numbers:?}");
        let text = text_of(&numbers[..1]).unwrap();
        assert!(text.contains(char::REPLACEMENT_CHARACTER), "{text:?}");
    }

    /// The vocabulary ends at 100,276 and has a hole at 100,256.
    #[rstest]
    #[case(&[15339, 100_256, 100_256], 1)]
    #[case(&[100_277], 0)]
    #[case(&[0, 0, u32::MAX], 2)]
    fn a_number_without_a_token_is_named(#[case] numbers: &[u32], #[case] place: usize) {
        let number = numbers[place];
        assert_eq!(text_of(numbers), Err(Unknown { place, number }));
    }
}
