//! A streamed answer, stored when it has ended.

use axum::body::{Body, BodyDataStream};
use futures::{StreamExt as _, stream};

use super::{Held, MAX_ANSWER_BYTES, StreamFailed};
use crate::store::{KeptAnswer, Outcome};

struct Recording {
    held: Held,
    hash: Vec<u8>,
    /// `None` once it is too long to be kept.
    answer: Option<KeptAnswer>,
    failed: StreamFailed,
    body: BodyDataStream,
}

/// Passes a body on and stores it at its end, before the end is told. Dropped before that, as when
/// the client leaves, the key is given back: the answer was cancelled.
pub(super) fn record(
    held: Held,
    hash: Vec<u8>,
    answer: KeptAnswer,
    failed: StreamFailed,
    body: Body,
) -> Body {
    let recording = Recording {
        held,
        hash,
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
                let Recording {
                    held,
                    hash,
                    answer,
                    failed,
                    ..
                } = recording;
                if failed.get() {
                    held.release().await;
                } else {
                    held.end(Outcome { hash, answer }).await;
                }
                None
            }
        }
    });
    Body::from_stream(parts)
}
