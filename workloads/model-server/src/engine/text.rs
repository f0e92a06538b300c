//! From tokens to text that can be sent: whole characters.

/// Puts bytes together to whole characters. A token can end in the middle of one.
#[derive(Debug, Default)]
pub(super) struct Characters {
    pending: Vec<u8>,
}

impl Characters {
    /// Adds bytes; gives the characters that are complete. Bytes that can never become a character
    /// are replaced by U+FFFD.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(whole) => {
                    text.push_str(whole);
                    self.pending.clear();
                    return text;
                }
                Err(error) => {
                    let (whole, rest) = self.pending.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(whole));
                    let Some(bad) = error.error_len() else {
                        self.pending = rest.to_vec();
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.pending = rest.get(bad..).unwrap_or_default().to_vec();
                }
            }
        }
    }

    /// What is left when no more bytes come.
    pub(super) fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_split_over_tokens_comes_out_whole() {
        let mut characters = Characters::default();
        let bytes = "é€😀".as_bytes();
        let text: String = bytes.iter().map(|byte| characters.push(&[*byte])).collect();
        assert_eq!(text, "é€😀");
        assert_eq!(characters.finish(), "");
    }

    #[test]
    fn bytes_that_are_no_character_are_replaced() {
        let mut characters = Characters::default();
        assert_eq!(characters.push(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(characters.push(b"\xe2\x82"), "");
        assert_eq!(characters.finish(), "\u{fffd}");
    }
}
