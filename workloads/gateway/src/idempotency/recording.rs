//! A streamed answer, stored when it has ended.

use axum::body::{Body, BodyDataStream};
use futures::{StreamExt as _, stream};

use super::held::Held;
use super::{MAX_ANSWER_BYTES, Streamed};
use crate::store::KeptAnswer;

/// A request with a key whose answer is being taken. Dropped before its end, as when the client
/// leaves, the key is given back where the answer was stopped by that. Else it stays taken until the
/// answer ends, and for good where that is whole: it took effect, and is found where it is stored.
pub(super) struct Taking {
    pub(super) held: Held,
    pub(super) hash: Vec<u8>,
    /// What becomes of the answer; `None` of one that ends with its client.
    pub(super) streamed: Option<Streamed>,
}

struct Recording {
    /// `None` at the end.
    taking: Option<Taking>,
    /// `None` once it is too long to be kept.
    answer: Option<KeptAnswer>,
    body: BodyDataStream,
}

/// Passes a body on and stores it at its end, before the end is told.
pub(super) fn record(taking: Taking, answer: KeptAnswer, body: Body) -> Body {
    let recording = Recording {
        taking: Some(taking),
        answer: Some(answer),
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
                recording.taking.take()?.end(answer).await;
                None
            }
        }
    });
    Body::from_stream(parts)
}

impl Taking {
    /// The client was told everything, which may be a failure.
    async fn end(self, answer: Option<KeptAnswer>) {
        let Self {
            held,
            hash,
            streamed,
        } = self;
        let tasks = held.state.tasks.clone();
        let failed = streamed.filter(|streamed| streamed.failed.is_raised());
        // An answer that failed for this reader alone goes on, and this one must not wait for it.
        let is_over = failed.as_ref().is_none_or(|it| it.whole.is_known());
        // In a task of its own: a client that leaves at the last byte does not undo it.
        let ended = tasks.spawn(async move {
            match failed {
                Some(streamed) => held.left(hash, streamed.whole).await,
                None => held.end(hash, answer).await,
            }
        });
        if is_over && ended.await.is_err() {
            tracing::error!("the end of an answer with an idempotency key was not stored");
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let Some(taking) = self.taking.take() else {
            return;
        };
        // Without `streamed` nothing goes on: the key is given back with `held`.
        if let Some(streamed) = taking.streamed {
            let tasks = taking.held.state.tasks.clone();
            // A stream that only this client reads is dropped with the body, which then is known.
            tasks.spawn(taking.held.left(taking.hash, streamed.whole));
        }
    }
}
