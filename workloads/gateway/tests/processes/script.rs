//! Questions that say what the orchestrator answers to them, and chance that can be repeated.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::client::Reply;
use crate::orchestrator::Script;
use crate::wire;

/// What pieces are made of: what a parser of events, of JSON or of UTF-8 could stumble over.
const WORDS: [&str; 10] = [
    "a", "0", "é", "漢", "🦀", "\n\n", "\"", "\\", "data: ", "[DONE]",
];

/// Chance from `LOTOAI_SEED`, or from the clock; the seed is told.
pub(crate) fn chance(test: &str) -> StdRng {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed =
        std::env::var("LOTOAI_SEED").map_or_else(|_| since.as_secs(), |text| text.parse().unwrap());
    println!("{test}: LOTOAI_SEED={seed} repeats it");
    StdRng::seed_from_u64(seed)
}

/// Whether tests run in full of which a sample is enough for every change.
pub(crate) fn is_soak() -> bool {
    std::env::var_os("LOTOAI_SOAK").is_some()
}

/// An answer that takes so long, after its first piece, which comes at once. Between two pieces there
/// are at most `pause` milliseconds.
pub(crate) fn script(chance: &mut StdRng, length: Duration, pause: u64) -> Script {
    let mut script = vec![(0, piece(chance))];
    let mut left = u64::try_from(length.as_millis()).unwrap();
    while left > 0 {
        let pause = chance.random_range(1..=pause).min(left);
        left -= pause;
        script.push((pause, piece(chance)));
    }
    script
}

fn piece(chance: &mut StdRng) -> String {
    let words = chance.random_range(1..=12);
    (0..words).map(|_| *WORDS.choose(chance).unwrap()).collect()
}

/// What such an answer says in so much time after its first piece.
pub(crate) fn said(script: &Script, within: Duration) -> String {
    let mut passed = Duration::ZERO;
    let pieces = script.iter().take_while(|(pause, _)| {
        passed += Duration::from_millis(*pause);
        passed <= within
    });
    pieces.map(|(_, text)| text.as_str()).collect()
}

/// The text of a question that gets this answer.
pub(crate) fn content(script: &Script) -> String {
    json!(script).to_string()
}

/// A question that gets this answer.
pub(crate) fn question(script: &Script, is_streamed: bool, is_stored: bool) -> Value {
    json!({
        "model": "scripted", "stream": is_streamed, "store": is_stored, "max_tokens": 100,
        "messages": [{ "role": "user", "content": content(script) }],
    })
}

/// Text of an answer, whole or streamed, and the conversation that it is stored in.
pub(crate) fn heard(reply: &Reply) -> (String, Option<String>) {
    let is_streamed = reply
        .header("content-type")
        .starts_with("text/event-stream");
    let (text, lotoai) = if is_streamed {
        let first = reply.body.lines().find_map(|it| it.strip_prefix("data: "));
        let first: Value = serde_json::from_str(first.unwrap()).unwrap();
        (wire::text(&reply.body), first["lotoai"].clone())
    } else {
        let whole = reply.json();
        let text = &whole["choices"][0]["message"]["content"];
        (text.as_str().unwrap().to_owned(), whole["lotoai"].clone())
    };
    let conversation = lotoai["conversation_id"].as_str().map(str::to_owned);
    (text, conversation)
}

#[test]
fn the_same_seed_gives_the_same_script() {
    let length = Duration::from_secs(3);
    let draw = |seed| script(&mut StdRng::seed_from_u64(seed), length, 500);
    let drawn = draw(7);
    assert_eq!(drawn, draw(7));
    assert_ne!(drawn, draw(8));
    let whole: String = drawn.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(said(&drawn, length), whole);
    let part = said(&drawn, length / 2);
    assert!(whole.starts_with(&part) && part != whole && !part.is_empty());
}
