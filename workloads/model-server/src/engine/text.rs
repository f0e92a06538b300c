//! From tokens to text that can be sent: whole characters, and nothing of a stop sequence.

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

/// Looks for stop sequences, and holds back text that may be the beginning of one.
#[derive(Debug)]
pub(super) struct Stops {
    sequences: Vec<String>,
    held: String,
}

impl Stops {
    pub(super) fn new(sequences: Vec<String>) -> Self {
        Self {
            sequences,
            held: String::new(),
        }
    }

    /// Adds text; gives what may be sent, and whether a stop sequence was met. What follows a stop
    /// sequence is dropped with it.
    pub(super) fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let met = self
            .sequences
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()))
            .min();
        if let Some(at) = met {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let keep = self.possible_beginning();
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, when no more text comes.
    pub(super) fn finish(self) -> String {
        self.held
    }

    /// Bytes at the end of the held text that a stop sequence may begin with.
    fn possible_beginning(&self) -> usize {
        self.sequences
            .iter()
            .flat_map(|stop| stop.char_indices().map(|(end, _)| &stop[..end]))
            .filter(|beginning| self.held.ends_with(beginning))
            .map(str::len)
            .max()
            .unwrap_or(0)
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

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut scanner = Stops::new(stops.iter().map(ToString::to_string).collect());
        let mut sent = String::new();
        for piece in pieces {
            let (text, met) = scanner.push(piece);
            sent.push_str(&text);
            if met {
                return (sent, true);
            }
        }
        sent.push_str(&scanner.finish());
        (sent, false)
    }

    #[test]
    fn a_stop_sequence_split_over_pieces_is_never_sent() {
        assert_eq!(
            run(&["\nUser:"], &["Hi", "\nUs", "er", ": x"]),
            ("Hi".to_owned(), true)
        );
    }

    #[test]
    fn a_beginning_that_comes_to_nothing_is_sent() {
        assert_eq!(
            run(&["END"], &["E", "N", "TER"]),
            ("ENTER".to_owned(), false)
        );
        assert_eq!(run(&["END"], &["the EN"]), ("the EN".to_owned(), false));
    }

    #[test]
    fn the_first_of_several_stops_wins() {
        assert_eq!(run(&["c", "b"], &["abc"]), ("a".to_owned(), true));
    }

    #[test]
    fn without_stops_nothing_is_held_back() {
        assert_eq!(Stops::new(Vec::new()).push("ñ"), ("ñ".to_owned(), false));
    }
}
