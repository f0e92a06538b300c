//! Answers of model providers.

use bytes::Bytes;
use futures::executor::block_on;
use futures::{StreamExt as _, stream};
use lotoai_agents::provider::{self, Event};
use lotoai_agents::table::Kind;

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
