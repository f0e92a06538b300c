//! Objects that the cluster refuses: which refusals are an object's own, and how they are told.

use std::fmt::Write as _;

use lotoai_plan::ObjectId;

use crate::error::chain;
use crate::object::show;

/// How many objects a message names: one that lists all is longer than a condition or an event.
const NAMED: usize = 5;

/// An object that the cluster refused.
#[derive(Debug)]
pub struct Refusal {
    /// The object.
    pub id: ObjectId,
    /// What the API server said.
    pub source: Box<kube::Error>,
}

pub(super) fn refusals(objects: &[Refusal]) -> String {
    let texts = objects.iter().map(|Refusal { id, source }| {
        let cause = match source.as_ref() {
            kube::Error::Api(status) => status.message.clone(),
            error => chain(error),
        };
        format!("failed to apply {}: {cause}", show(id))
    });
    few(texts, "; ")
}

pub(super) fn put_off(waiting: &[ObjectId]) -> String {
    if waiting.is_empty() {
        return String::new();
    }
    format!("; for this waits: {}", few(waiting.iter().map(show), ", "))
}

/// The first [`NAMED`] texts, and how many more there are.
fn few(texts: impl ExactSizeIterator<Item = String>, separator: &str) -> String {
    let more = texts.len().saturating_sub(NAMED);
    let mut text = texts.take(NAMED).collect::<Vec<_>>().join(separator);
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

/// Whether an object is refused for what it is: by a rule of its kind, a quota, a policy or a
/// webhook. The next object would meet everything else as well: a token or a load that is refused,
/// an API server that is away. A conflict is nobody's fault, and its pass is repeated at once.
pub(crate) fn is_refusal(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    match status.code {
        401 | 408 | 409 | 429 => false,
        400..=499 => true,
        // One that does not answer, without which objects of some kinds are not admitted.
        500 => status.message.contains("failed calling webhook"),
        _ => false,
    }
}

/// Whether an object is refused because a webhook did not answer in time. One that is away altogether
/// is noticed at once.
pub(super) fn is_silence(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    // Not the word alone: the webhook's address, which is told as well, ends with its time limit.
    let ends = [
        "deadline exceeded",
        "Timeout exceeded",
        "i/o timeout",
        "timed out",
        "handshake timeout",
    ];
    status.code == 500 && ends.iter().any(|end| status.message.contains(end))
}
