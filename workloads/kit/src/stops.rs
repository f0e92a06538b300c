//! Stop sequences: texts that end an answer and are no part of it.

/// The most stop sequences of one request, as in OpenAI's API.
pub const MAX_STOPS: usize = 4;
/// The longest stop sequence, in bytes.
pub const MAX_STOP_BYTES: usize = 256;

/// Looks for stop sequences, and holds back text that may be the beginning of one.
#[derive(Debug, Default)]
pub struct Stops {
    sequences: Vec<String>,
    held: String,
}

impl Stops {
    /// Looks for these; an empty one says nothing.
    #[must_use]
    pub fn new(mut sequences: Vec<String>) -> Self {
        sequences.retain(|stop| !stop.is_empty());
        Self {
            sequences,
            held: String::new(),
        }
    }

    /// Adds text; gives what may be sent, and whether a stop sequence was met. What follows a stop
    /// sequence is dropped with it.
    pub fn push(&mut self, text: &str) -> (String, bool) {
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
    pub fn release(&mut self) -> String {
        std::mem::take(&mut self.held)
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
        sent.push_str(&scanner.release());
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

    #[test]
    fn an_empty_stop_ends_nothing() {
        assert_eq!(run(&["", "b"], &["a", "c"]), ("ac".to_owned(), false));
    }
}
