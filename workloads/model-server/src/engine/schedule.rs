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

/// Takes texts for one call, one from each job in turn. So a question of one text is in the very
/// next call, however many chunks of a document are in line before it.
pub(super) fn next_call<T>(
    jobs: &mut [&mut VecDeque<Text<T>>],
    limits: Limits,
) -> Vec<(usize, Text<T>)> {
    let mut call = Vec::new();
    let mut room = limits.tokens;
    loop {
        let before = call.len();
        for (job, waiting) in jobs.iter_mut().enumerate() {
            if call.len() == limits.texts {
                return call;
            }
            let fits = waiting
                .front()
                .is_some_and(|text| text.tokens.len() <= room);
            if fits && let Some(text) = waiting.pop_front() {
                room -= text.tokens.len();
                call.push((job, text));
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

    fn places(call: &[(usize, Text<u8>)]) -> Vec<(usize, usize)> {
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
        let call = next_call(&mut [&mut large, &mut small], LIMITS);
        assert_eq!(places(&call), [(0, 0), (1, 0), (0, 1)]);
    }

    #[test]
    fn a_call_never_exceeds_its_tokens() {
        let mut only = job(&[60, 60, 10]);
        assert_eq!(places(&next_call(&mut [&mut only], LIMITS)), [(0, 0)]);
        assert_eq!(
            places(&next_call(&mut [&mut only], LIMITS)),
            [(0, 1), (0, 2)]
        );
        assert!(next_call(&mut [&mut only], LIMITS).is_empty());
    }

    #[test]
    fn a_call_never_exceeds_its_texts() {
        let mut only = job(&[1; 7]);
        assert_eq!(next_call(&mut [&mut only], LIMITS).len(), 3);
    }
}
