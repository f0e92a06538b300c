//! Answers of model providers and of the model server.

use bytes::Bytes;
use futures::executor::block_on;
use futures::{StreamExt as _, stream};
use http::StatusCode;
use lotoai_agents::provider::{self, Event};
use lotoai_agents::table::Kind;
use lotoai_gateway::model_server;
use serde_json::Value;

use crate::promise;

/// The stream of a provider. The first byte says whose it is and how long the pieces are that it
/// comes in.
pub(crate) fn provider_stream(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let kind = if first & 1 == 0 {
        Kind::OpenAI
    } else {
        Kind::Anthropic
    };
    let size = usize::from(first >> 1).max(1);
    let pieces: Vec<_> = bytes
        .chunks(size)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let events: Vec<_> = block_on(provider::decode("p", kind, stream::iter(pieces)).collect());
    let text: usize = events
        .iter()
        .flatten()
        .map(|event| match event {
            Event::Text(text) => text.len(),
            _ => 0,
        })
        .sum();
    // A byte that is not UTF-8 may become a replacement character, which has three.
    promise(
        text <= 3 * bytes.len(),
        "no text comes out that did not go in",
    );
}

/// What the model server answers to a batch of vectors, as an answer and as a refusal.
pub(crate) fn model_server_answer(bytes: &[u8]) {
    let fits = |count: &usize| model_server::answer(bytes, *count).is_some();
    let mut counts = [1, 2].into_iter().filter(fits);
    if let Some(count) = counts.next() {
        promise(counts.next().is_none(), "an answer is to one batch");
        let said: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let mut places = said["truncated"].as_array().into_iter().flatten();
        promise(
            places.all(|place| place.as_u64().is_some_and(|place| place < count as u64)),
            "what is cut is of the batch",
        );
    }
    for status in [400, 401, 429, 500] {
        let Ok(status) = StatusCode::from_u16(status) else {
            return;
        };
        let failure = model_server::refusal(status, bytes);
        promise(
            [400, 429, 503].contains(&failure.status.as_u16()),
            "a refusal has a fitting status",
        );
        promise(
            failure.status == status || failure.status == 503,
            "nothing is the caller's fault that is not said to be",
        );
    }
}
