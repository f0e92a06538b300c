//! Notices when the model repeats itself. A model of this size does so when it has nothing more to
//! say, and would go on until the token limit.

use std::collections::HashMap;

/// The longest loop that is looked for, in tokens.
const LONGEST_PERIOD: usize = 48;
/// A loop must be this often in line …
const TURNS: usize = 3;
/// … and this long in all: "ha ha ha" and the zeros of 1,000,000 are no loop.
const SHORTEST_LOOP: usize = 12;
/// A sentence of at least this many characters that comes a second time ends the answer …
const LONG_SENTENCE: usize = 40;
/// … and one of at least this many that comes a third time. Shorter ones ("Yes.") may come often.
const SHORT_SENTENCE: usize = 12;

/// What the model has written so far, as far as repetition is concerned.
#[derive(Debug, Default)]
pub(super) struct Rambling {
    tokens: Vec<i32>,
    sentence: String,
    seen: HashMap<String, usize>,
}

impl Rambling {
    /// Adds a token and its text. True when the answer should end here.
    pub(super) fn push(&mut self, token: i32, text: &str) -> bool {
        self.tokens.push(token);
        let mut repeated = self.in_a_loop();
        for character in text.chars() {
            if matches!(character, '.' | '!' | '?' | '\n') {
                repeated |= self.end_sentence();
            } else {
                self.sentence.extend(character.to_lowercase());
            }
        }
        repeated
    }

    fn in_a_loop(&self) -> bool {
        (1..=LONGEST_PERIOD).any(|period| {
            let length = (period * TURNS).max(SHORTEST_LOOP);
            let Some(start) = self.tokens.len().checked_sub(length) else {
                return false;
            };
            let tail = &self.tokens[start..];
            tail.iter()
                .zip(&tail[period..])
                .all(|(earlier, later)| earlier == later)
        })
    }

    fn end_sentence(&mut self) -> bool {
        let sentence = std::mem::take(&mut self.sentence).trim().to_owned();
        let length = sentence.chars().count();
        if length < SHORT_SENTENCE {
            return false;
        }
        let times = self.seen.entry(sentence).or_default();
        *times += 1;
        *times >= if length >= LONG_SENTENCE { 2 } else { 3 }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The place of the token at which the answer is ended.
    fn stopped_at(tokens: &[i32]) -> Option<usize> {
        let mut rambling = Rambling::default();
        tokens.iter().position(|token| rambling.push(*token, "x"))
    }

    #[rstest]
    #[case::one_token(&[7; 40], Some(11))]
    #[case::few_zeros(&[7; 11], None)]
    #[case::three_turns(&[1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1], Some(14))]
    #[case::two_turns(&[1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7], None)]
    fn loops(#[case] tokens: &[i32], #[case] expected: Option<usize>) {
        assert_eq!(stopped_at(tokens), expected);
    }

    #[test]
    fn counting_is_no_loop() {
        assert_eq!(stopped_at(&(0..500).collect::<Vec<_>>()), None);
    }

    fn repeated(sentences: &[&str]) -> bool {
        let mut rambling = Rambling::default();
        let mut token = 0;
        sentences.iter().any(|sentence| {
            token += 1;
            rambling.push(token, sentence)
        })
    }

    #[test]
    fn a_long_sentence_said_twice_ends_the_answer() {
        let long = "The warranty covers the parts of the machine for two years.";
        assert!(repeated(&[long, " Ask us for more.", " ", long]));
        assert!(!repeated(&[long, " The warranty covers the labour, too."]));
    }

    #[test]
    fn a_short_sentence_may_be_said_twice() {
        assert!(!repeated(&["It is blue today.", " It is blue today."]));
        assert!(repeated(&[
            "It is blue today.",
            " It is blue today.",
            " It is blue today."
        ]));
        assert!(!repeated(&["Yes.", "Yes.", "Yes.", "Yes."]));
    }
}
