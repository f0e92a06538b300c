//! What is said of data that are to stay and would be deleted with the resource.

use lotoai_api::reasons;

use super::{TRUE, Verdict, say};

/// The same verdict, which says so before anything else: it must not be cut off.
pub(in crate::status) fn tied(mut verdict: Verdict, tied: Option<String>) -> Verdict {
    let Some(tied) = tied else {
        return verdict;
    };
    let (status, ready) = &mut verdict.ready;
    ready.message = format!("{tied}; {}", ready.message);
    // What was asked for is not done, though questions are answered.
    if *status == TRUE && verdict.stalled.is_none() {
        let waits = say(reasons::PROGRESSING, tied);
        verdict.reconciling.get_or_insert(waits);
    }
    verdict
}
