//! A streamed answer, stored when it has ended.

use axum::body::{Body, BodyDataStream};
use futures::{StreamExt as _, stream};

use super::{Held, MAX_ANSWER_BYTES, Outlives, StreamFailed};
use crate::store::{KeptAnswer, Outcome};

/// A request with a key whose answer is being taken. Dropped before its end, as when the client
/// leaves, the key is given back, for the answer was cancelled. Where it was not, the key stays taken
/// until the answer ends; the answer then took effect, and is found where it is stored.
pub(super) struct Taking {
    pub(super) held: Held,
    pub(super) hash: Vec<u8>,
    /// Whether the answer goes on without this client.
    pub(super) outlives: Option<Outlives>,
}

struct Recording {
    /// `None` at the end.
    taking: Option<Taking>,
    /// `None` once it is too long to be kept.
    answer: Option<KeptAnswer>,
    failed: StreamFailed,
    body: BodyDataStream,
}

/// Passes a body on and stores it at its end, before the end is told.
pub(super) fn record(taking: Taking, answer: KeptAnswer, failed: StreamFailed, body: Body) -> Body {
    let recording = Recording {
        taking: Some(taking),
        answer: Some(answer),
        failed,
        body: body.into_data_stream(),
    };
    let parts = stream::unfold(Some(recording), |recording| async move {
        let mut recording = recording?;
        match recording.body.next().await {
            Some(Ok(part)) => {
                recording.answer = recording.answer.take().and_then(|mut answer| {
                    answer.body.extend_from_slice(&part);
                    (answer.body.len() <= MAX_ANSWER_BYTES).then_some(answer)
                });
                Some((Ok(part), Some(recording)))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None => {
                let answer = recording.answer.take();
                let Taking { held, hash, .. } = recording.taking.take()?;
                let (tasks, failed) = (held.state.tasks.clone(), recording.failed.0.is_raised());
                // In a task of its own: a client that leaves at the last byte does not undo it.
                let ended = tasks.spawn(async move {
                    if failed {
                        held.release().await;
                    } else {
                        held.end(Outcome { hash, answer }).await;
                    }
                });
                if ended.await.is_err() {
                    tracing::error!("the end of an answer with an idempotency key was not stored");
                }
                None
            }
        }
    });
    Body::from_stream(parts)
}

impl Drop for Recording {
    fn drop(&mut self) {
        let Some(taking) = self.taking.take() else {
            return;
        };
        let Taking {
            held,
            hash,
            outlives: Some(outlives),
        } = taking
        else {
            return;
        };
        let tasks = held.state.tasks.clone();
        tasks.spawn(async move {
            if outlives.is_whole().await {
                held.end(Outcome { hash, answer: None }).await;
            } else {
                held.release().await;
            }
        });
    }
}
