//! Guesses the next tokens of an answer from what was read and written before: an answer that
//! quotes its passages goes on as they do. The model then judges several guessed tokens in one
//! call, which takes little longer than one token. Known as prompt lookup decoding
//! (<https://github.com/apoorvumang/prompt-lookup-decoding>).

use llama_cpp_2::token::LlamaToken;

/// The last tokens that a place must share to be followed.
const SHORTEST_MATCH: usize = 3;
/// Places that share more are as good as those that share this many.
const LONGEST_MATCH: usize = 8;

/// The at most `limit` tokens that followed the last ones of `text` where these stood before: at
/// the place that shares the most of them, the latest of several. Empty when there is no such place.
pub(super) fn guess(text: &[LlamaToken], limit: usize) -> &[LlamaToken] {
    let mut best = (SHORTEST_MATCH - 1, text.len());
    for end in (1..text.len()).rev() {
        let shared = shared_end(&text[..end], text);
        if shared > best.0 {
            best = (shared, end);
        }
        if shared == LONGEST_MATCH {
            break;
        }
    }
    let rest = &text[best.1..];
    &rest[..rest.len().min(limit)]
}

/// Tokens at the end of both, at most [`LONGEST_MATCH`].
fn shared_end(one: &[LlamaToken], other: &[LlamaToken]) -> usize {
    one.iter()
        .rev()
        .zip(other.iter().rev())
        .take(LONGEST_MATCH)
        .take_while(|(one, other)| one == other)
        .count()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(&[], 4, &[])]
    #[case::one_token(&[1], 4, &[])]
    #[case::new(&[1, 2, 3, 4, 5], 4, &[])]
    #[case::two_shared_tokens_are_chance(&[7, 8, 9, 1, 7, 8], 4, &[])]
    #[case::a_quotation(&[0, 1, 2, 3, 4, 5, 9, 0, 1, 2], 3, &[3, 4, 5])]
    #[case::to_the_end(&[0, 1, 2, 3, 0, 1, 2], 9, &[3, 0, 1, 2])]
    #[case::more_shared_wins(&[5, 0, 1, 2, 3, 9, 6, 0, 1, 2, 4, 9, 5, 0, 1, 2], 1, &[3])]
    #[case::the_latest_of_equal(&[0, 1, 2, 3, 9, 0, 1, 2, 4, 8, 0, 1, 2], 1, &[4])]
    #[case::no_room(&[0, 1, 2, 3, 0, 1, 2], 0, &[])]
    fn guesses(#[case] text: &[i32], #[case] limit: usize, #[case] expected: &[i32]) {
        let text: Vec<_> = text.iter().copied().map(LlamaToken).collect();
        let guessed: Vec<_> = guess(&text, limit).iter().map(|token| token.0).collect();
        assert_eq!(guessed, expected);
    }
}
