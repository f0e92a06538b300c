//! Throws bytes at every target for a moment: the files of its corpus, changed by chance. It is no
//! search, as `make fuzz` is, but every change to a parser meets it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::{TARGETS, Target, find};

/// How long each target has.
const TIME: Duration = Duration::from_millis(1200);
/// The longest input.
const MAX_BYTES: usize = 4096;
/// What means something to one parser or another.
const WORDS: [&str; 32] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "1e999",
    "-1",
    "18446744073709551616",
    "\r\n",
    "\n\n",
    "--x",
    "--x--",
    "; ",
    "=",
    "../",
    "%00",
    "%2e",
    "/",
    "é",
    "\u{202e}",
    "\u{0}",
    "Bearer ",
    "eyJ",
    "loto_",
    "data: ",
    "&",
];

fn corpus(target: Target) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let files = std::fs::read_dir(&directory);
    let files = files.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// From `LOTOAI_SEED`, or from the clock.
fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    std::env::var("LOTOAI_SEED").map_or_else(|_| since.as_secs(), |text| text.parse().unwrap())
}

/// Another input, made of one or two that there are.
fn changed(chance: &mut StdRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds.choose(chance).cloned().unwrap_or_default();
    for _ in 0..chance.random_range(1..=8) {
        let at = chance.random_range(0..=bytes.len());
        let end = chance.random_range(at..=bytes.len());
        match chance.random_range(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = chance.random(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].repeat(chance.random_range(1..=4));
                bytes.splice(at..at, piece);
            }
            5 => {
                let other = seeds.choose(chance).map_or(&[][..], Vec::as_slice);
                let from = chance.random_range(0..=other.len());
                bytes.splice(at..end, other[from..].to_vec());
            }
            6 => {
                let some: [u8; 4] = chance.random();
                bytes.splice(at..at, some);
            }
            _ => {
                let word = WORDS.choose(chance).unwrap();
                bytes.splice(at..at, word.bytes());
            }
        }
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

/// Runs a target until its time is over; how many inputs it had.
fn run(target: Target, seeds: &[Vec<u8>], seed: u64, time: Duration) -> usize {
    let attempt = |bytes: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))) {
            let shown = String::from_utf8_lossy(bytes);
            println!(
                "{}: LOTOAI_SEED={seed} repeats it; put these bytes into corpus/{0}:\n{shown}\n{bytes:?}",
                target.name
            );
            std::panic::resume_unwind(panic);
        }
    };
    for bytes in seeds {
        attempt(bytes);
    }
    attempt(&[]);
    let (begun, mut chance, mut count) = (Instant::now(), StdRng::seed_from_u64(seed), seeds.len());
    while begun.elapsed() < time {
        for _ in 0..64 {
            attempt(&changed(&mut chance, seeds));
        }
        count += 64;
    }
    count
}

#[rstest::rstest]
#[case("approval_body")]
#[case("chat_body")]
#[case("responses_body")]
#[case("embedding_body")]
#[case("conversation_body")]
#[case("key_body")]
#[case("budget_body")]
#[case("upload_metadata")]
#[case("upload_piece")]
#[case("upload_form")]
#[case("upload_name")]
#[case("upload_text")]
#[case("list_query")]
#[case("search_query")]
#[case("usage_query")]
#[case("input_items_query")]
#[case("choices_query")]
#[case("callback_query")]
#[case("accept")]
#[case("accept_language")]
#[case("last_event_id")]
#[case("idempotency_key")]
#[case("form_hash")]
#[case("budgets_file")]
#[case("authorization")]
#[case("access_token")]
#[case("api_key")]
#[case("cookie")]
#[case("csrf")]
#[case("token_claims")]
#[case("key_set")]
#[case("discovery_document")]
#[case("token_answer")]
#[case("logout_form")]
#[case("logout_claims")]
#[case("login_cookie")]
#[case("path")]
#[case("provider_stream")]
#[case("model_server_answer")]
fn any_bytes_are_taken_or_refused(#[case] name: &str) {
    let target = find(name).unwrap();
    let seeds = corpus(target);
    assert!(!seeds.is_empty(), "corpus/{name} is empty");
    let count = run(target, &seeds, seed(), TIME);
    println!("{name}: {count} inputs");
    assert!(count > 200, "{count} inputs are too few to say anything");
}

#[test]
fn no_target_is_left_out() {
    let this = include_str!("tests.rs");
    for target in TARGETS {
        let case = format!("#[case(\"{}\")]", target.name);
        assert!(this.contains(&case), "{case}");
    }
}

/// The control: faults that are planted are found.
#[test]
fn a_fault_is_found() {
    let faulty = Target {
        name: "faulty",
        run: |bytes| assert!(!bytes.windows(2).any(|two| two == b"{{"), "planted"),
    };
    let seeds = [b"{\"a\": {}}".to_vec()];
    let found = catch_unwind(|| run(faulty, &seeds, 1, Duration::from_secs(20)));
    assert!(found.is_err());
}
