//! Which texts go into the next call of the embedding model.

use std::collections::VecDeque;

/// A text of a job, as tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text<T> {
    /// Place in the job's list of inputs.
    pub(super) position: usize,
    /// Never empty, never more than a call may hold.
    pub(super) tokens: Vec<T>,
}

/// Limits of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Tokens of all texts together.
    pub(super) tokens: usize,
    /// Texts.
    pub(super) texts: usize,
}

/// Takes texts for one call, one from each job in turn, and first from the jobs with the fewest
/// left. So a question of one text is in the very next call, however many chunks of documents are
/// in line before it.
pub(super) fn next_call<J: Copy, T>(
    jobs: &mut [(J, &mut VecDeque<Text<T>>)],
    limits: Limits,
) -> Vec<(J, Text<T>)> {
    jobs.sort_by_key(|(_, waiting)| waiting.len());
    let mut call = Vec::new();
    let mut room = limits.tokens;
    loop {
        let before = call.len();
        for (job, waiting) in jobs.iter_mut() {
            if call.len() == limits.texts {
                return call;
            }
            let fits = waiting
                .front()
                .is_some_and(|text| text.tokens.len() <= room);
            if fits && let Some(text) = waiting.pop_front() {
                room -= text.tokens.len();
                call.push((*job, text));
            }
        }
        if call.len() == before {
            return call;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(lengths: &[usize]) -> VecDeque<Text<u8>> {
        lengths
            .iter()
            .enumerate()
            .map(|(position, length)| Text {
                position,
                tokens: vec![0; *length],
            })
            .collect()
    }

    fn places(call: &[(char, Text<u8>)]) -> Vec<(char, usize)> {
        call.iter()
            .map(|(job, text)| (*job, text.position))
            .collect()
    }

    const LIMITS: Limits = Limits {
        tokens: 100,
        texts: 3,
    };

    #[test]
    fn a_small_job_does_not_wait_for_a_large_one() {
        let (mut large, mut small) = (job(&[40; 50]), job(&[5]));
        let call = next_call(&mut [('l', &mut large), ('s', &mut small)], LIMITS);
        assert_eq!(places(&call), [('s', 0), ('l', 0), ('l', 1)]);
    }

    #[test]
    fn a_question_fits_before_long_texts_fill_the_call() {
        let (mut large, mut small) = (job(&[96; 50]), job(&[5]));
        let call = next_call(&mut [('l', &mut large), ('s', &mut small)], LIMITS);
        assert_eq!(places(&call), [('s', 0)]);
    }

    #[test]
    fn a_call_never_exceeds_its_tokens() {
        let mut only = job(&[60, 60, 10]);
        let mut next = || places(&next_call(&mut [('o', &mut only)], LIMITS));
        assert_eq!(next(), [('o', 0)]);
        assert_eq!(next(), [('o', 1), ('o', 2)]);
        assert_eq!(next(), []);
    }

    #[test]
    fn a_call_never_exceeds_its_texts() {
        let mut only = job(&[1; 7]);
        assert_eq!(next_call(&mut [('o', &mut only)], LIMITS).len(), 3);
    }
}
