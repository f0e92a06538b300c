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

/// How a question is asked and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As chat, whole.
    Whole,
    /// As chat, streamed.
    Stream,
    /// As chat, streamed, so that who asked may come back to it. It is stored.
    Resumable,
    /// By `/v1/responses`, whole.
    Response,
    /// By `/v1/responses`, streamed.
    ResponseStream,
}

impl Way {
    pub(crate) const ALL: [Self; 5] = [
        Self::Whole,
        Self::Stream,
        Self::Resumable,
        Self::Response,
        Self::ResponseStream,
    ];
    pub(crate) const STREAMS: [Self; 3] = [Self::Stream, Self::Resumable, Self::ResponseStream];

    fn is_response(self) -> bool {
        matches!(self, Self::Response | Self::ResponseStream)
    }

    pub(crate) fn path(self) -> &'static str {
        if self.is_response() {
            "/v1/responses"
        } else {
            "/v1/chat/completions"
        }
    }

    /// Whether this is the proper end of a stream, be it a good one.
    pub(crate) fn is_over(self, body: &str) -> bool {
        // The text of an answer is JSON and holds no empty line.
        let last = body.split_terminator("\n\n").last().unwrap_or_default();
        match self {
            Self::Stream | Self::Resumable => last == "data: [DONE]",
            // The last one is for who is not told in any other way.
            Self::ResponseStream => ["response.completed", "response.failed", "error"]
                .iter()
                .any(|name| last.starts_with(&format!("event: {name}\n"))),
            Self::Whole | Self::Response => true,
        }
    }

    /// Whether this is a whole answer.
    pub(crate) fn is_whole(self, reply: &Reply) -> bool {
        let says_so = match self {
            Self::Stream | Self::Resumable => reply.body.contains("\"finish_reason\":\"stop\""),
            Self::ResponseStream => reply.body.contains("event: response.completed\n"),
            Self::Whole | Self::Response => true,
        };
        reply.status == 200 && says_so && self.is_over(&reply.body)
    }
}

/// A question that gets this answer.
pub(crate) fn question(script: &Script, way: Way, is_stored: bool) -> Value {
    let (text, is_streamed) = (content(script), Way::STREAMS.contains(&way));
    let mut question = json!({ "model": "scripted", "stream": is_streamed, "store": is_stored });
    if way.is_response() {
        question["input"] = text.into();
        question["max_output_tokens"] = 100.into();
    } else {
        question["messages"] = json!([{ "role": "user", "content": text }]);
        question["max_tokens"] = 100.into();
    }
    if way == Way::Resumable {
        question["stream_options"] = json!({ "resumable": true });
    }
    question
}

/// What an answer says.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) text: String,
    /// The run that it came of.
    pub(crate) run: String,
    /// The conversation that it is stored in.
    pub(crate) conversation: Option<String>,
}

/// Reads an answer, whole or streamed, of either API.
pub(crate) fn heard(reply: &Reply) -> Heard {
    let is_streamed = reply
        .header("content-type")
        .starts_with("text/event-stream");
    let first: Value = if is_streamed {
        let first = reply.body.lines().find_map(|it| it.strip_prefix("data: "));
        serde_json::from_str(first.unwrap()).unwrap()
    } else {
        reply.json()
    };
    // An event of the Responses API has the response within.
    let answer = first.get("response").unwrap_or(&first);
    let text = match (answer["object"] == "response", is_streamed) {
        (true, true) => deltas(&reply.body),
        (false, true) => wire::text(&reply.body),
        (true, false) => whole(&answer["output"][0]["content"][0]["text"]),
        (false, false) => whole(&answer["choices"][0]["message"]["content"]),
    };
    let lotoai = &answer["lotoai"];
    Heard {
        text,
        run: whole(&lotoai["run_id"]),
        conversation: lotoai["conversation_id"].as_str().map(str::to_owned),
    }
}

fn whole(text: &Value) -> String {
    text.as_str().unwrap().to_owned()
}

/// Text of the events of a response.
fn deltas(body: &str) -> String {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| {
        let event: Value = serde_json::from_str(data).unwrap();
        let is_text = event["type"] == "response.output_text.delta";
        let delta = event["delta"].as_str().filter(|_| is_text);
        delta.map(str::to_owned)
    })
    .collect()
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
