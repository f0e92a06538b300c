//! A question as it was stored, and whether it stays when its run fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use uuid::Uuid;

use super::transcript::Transcript;
use crate::store::Undone;

const OPEN: u8 = 0;
const STREAMING: u8 = 1;
const UNDONE: u8 = 2;

/// Whether a client is told failures in a stream, or by a status after which its question is taken
/// back. Whoever decides that first decides it, once. All clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Streaming(Arc<AtomicU8>);

impl Streaming {
    /// From now on failures are told in a stream. Says whether that is so; else the question is being
    /// taken back.
    pub fn raise(&self) -> bool {
        self.decide(STREAMING)
    }

    /// The question is taken back. Says whether that is so; else its client is told in a stream.
    pub fn undo(&self) -> bool {
        self.decide(UNDONE)
    }

    fn decide(&self, what: u8) -> bool {
        let decided = self
            .0
            .compare_exchange(OPEN, what, Ordering::AcqRel, Ordering::Acquire);
        decided.is_ok() || decided == Err(what)
    }
}

/// What was stored of a question before it was asked.
#[derive(Debug, Default)]
pub(super) struct StoredQuestion {
    /// Its messages.
    pub(super) messages: Vec<Uuid>,
    /// Whether its conversation began with it.
    pub(super) began: bool,
    /// Whether its answer is told as a stream, or is looked up …
    pub(super) streams: bool,
    /// … and whether that has begun, though nothing of the answer is there.
    pub(super) is_streaming: Streaming,
}

impl StoredQuestion {
    /// What is taken back of it when its run fails. Who is told the failure by the status of the
    /// response may send the question again, as many clients do by themselves, and should not find it
    /// twice. In a stream it was told where the question is stored, and there it stays; so does what
    /// came of tools, be it only that they wait for consent.
    pub(super) fn undone(
        &self,
        conversation_id: Option<Uuid>,
        transcript: &Transcript,
    ) -> Option<Undone> {
        if transcript.has_acted() {
            return None;
        }
        let is_told_in_stream = || transcript.is_begun() || !self.is_streaming.undo();
        if self.streams && is_told_in_stream() {
            return None;
        }
        let is_stored = self.began || !self.messages.is_empty();
        Some(Undone {
            conversation_id: conversation_id.filter(|_| is_stored)?,
            messages: self.messages.clone(),
            began: self.began,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn transcript(text: &str, tool_calls: usize) -> Transcript {
        Transcript {
            text: text.to_owned(),
            tool_calls: vec![json!({}); tool_calls],
            ..Transcript::default()
        }
    }

    #[rstest::rstest]
    #[case::whole(false, false, "", 0, true)]
    #[case::whole_that_broke_off(false, false, "half", 0, true)]
    #[case::whole_with_an_effect(false, false, "", 1, false)]
    #[case::stream_that_did_not_begin(true, false, "", 0, true)]
    #[case::stream_that_began_silent(true, true, "", 0, false)]
    #[case::stream_that_broke_off(true, false, "half", 0, false)]
    #[case::stream_with_an_effect(true, false, "", 1, false)]
    fn what_was_told_by_a_status_is_taken_back(
        #[case] streams: bool,
        #[case] is_streaming: bool,
        #[case] text: &str,
        #[case] tool_calls: usize,
        #[case] expected: bool,
    ) {
        let question = StoredQuestion {
            messages: vec![Uuid::max()],
            began: false,
            streams,
            ..StoredQuestion::default()
        };
        if is_streaming {
            assert!(question.is_streaming.raise());
        }
        let undone = question.undone(Some(Uuid::nil()), &transcript(text, tool_calls));
        let all = Undone {
            conversation_id: Uuid::nil(),
            messages: vec![Uuid::max()],
            began: false,
        };
        assert_eq!(undone, expected.then_some(all));
    }

    #[test]
    fn no_stream_begins_of_what_is_taken_back() {
        let question = StoredQuestion {
            messages: vec![Uuid::max()],
            streams: true,
            ..StoredQuestion::default()
        };
        let streaming = question.is_streaming.clone();
        let undone = || question.undone(Some(Uuid::nil()), &Transcript::default());
        assert!(undone().is_some());
        assert!(!streaming.raise());
        assert!(undone().is_some());
    }

    #[test]
    fn of_what_was_not_stored_nothing_is_taken_back() {
        let nothing = StoredQuestion::default();
        let transcript = Transcript::default();
        assert_eq!(nothing.undone(Some(Uuid::nil()), &transcript), None);
        let begun = StoredQuestion {
            began: true,
            ..StoredQuestion::default()
        };
        assert_eq!(begun.undone(None, &transcript), None);
        assert!(begun.undone(Some(Uuid::nil()), &transcript).is_some());
    }
}
