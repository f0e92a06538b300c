//! Guesses what comes next from what was read: prompt lookup decoding (Saxena 2023,
//! <https://github.com/apoorvumang/prompt-lookup-decoding>).
//!
//! An answer from documents quotes them. Where its last tokens stand in the text before it, the
//! tokens that follow there are a good guess, and several guesses are checked in one call for
//! little more than the price of one token. A wrong guess costs that little and changes nothing:
//! only what the model would have chosen is kept.

use llama_cpp_2::token::LlamaToken;

/// Tokens of a guess. A call with one more than this costs about half more than a call with one.
pub(super) const LONGEST_GUESS: usize = 4;
/// The longest and the shortest end of the text that is looked for, in tokens. A single token
/// stands in too many places to say anything.
const LONGEST_END: usize = 4;
const SHORTEST_END: usize = 2;

/// The tokens that followed when `text` last ended as it does now: at most [`LONGEST_GUESS`], and
/// none when it never did. A longer end is believed before a shorter one.
pub(super) fn guess(text: &[LlamaToken]) -> &[LlamaToken] {
    for length in (SHORTEST_END..=LONGEST_END).rev() {
        let Some(start) = text.len().checked_sub(length) else {
            continue;
        };
        let end = &text[start..];
        // The end itself is no earlier place.
        let earlier = &text[..text.len() - 1];
        if let Some(place) = earlier.windows(length).rposition(|window| window == end) {
            let next = place + length;
            return &text[next..text.len().min(next + LONGEST_GUESS)];
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::never_said(&[1, 2, 3, 4, 5], &[])]
    #[case::too_short(&[1], &[])]
    #[case::one_token_says_nothing(&[1, 2, 3, 1], &[])]
    #[case::an_end_of_two(&[1, 2, 3, 4, 5, 6, 7, 1, 2], &[3, 4, 5, 6])]
    #[case::up_to_the_end(&[1, 2, 3, 1, 2], &[3, 1, 2])]
    #[case::the_latest_place(&[1, 2, 3, 9, 1, 2, 4, 9, 1, 2], &[4, 9, 1, 2])]
    #[case::a_longer_end_first(&[7, 1, 2, 3, 9, 8, 1, 2, 4, 9, 7, 1, 2], &[3, 9, 8, 1])]
    #[case::a_loop(&[5, 5, 5, 5], &[5])]
    fn guesses(#[case] text: &[i32], #[case] expected: &[i32]) {
        let tokens = |numbers: &[i32]| numbers.iter().copied().map(LlamaToken).collect::<Vec<_>>();
        assert_eq!(guess(&tokens(text)), tokens(expected));
    }
}
