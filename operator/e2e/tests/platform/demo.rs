//! The program `lotoai-demo`, as `make up` runs it.

use std::path::PathBuf;
use std::process::Command;

use lotoai_e2e::demo::SAMPLES;

use crate::support::{ready, run};

/// Runs the program in a language and returns what it prints; panics with all of it on failure.
fn demo(locale: &str, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lotoai-demo"))
        .args(arguments)
        .env_remove("LOTOAI_LANG")
        .env_remove("LC_ALL")
        .env("LANG", locale)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "lotoai-demo {arguments:?} in {locale}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn the_demonstration_loads_the_documentation_and_asks_in_two_languages() {
    run(|| async { drop(ready().await) });
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let docs = docs.to_str().unwrap();
    for (locale, indexed, words) in [
        ("en_US.UTF-8", "indexed", ["decision", "first token"]),
        ("es_ES.UTF-8", "indexados", ["decisión", "primer token"]),
    ] {
        let loaded = demo(locale, &["load-corpus", docs]);
        assert!(loaded.contains(indexed), "{loaded}");
        let asked = demo(locale, &["samples"]);
        for word in words {
            let count = asked.matches(word).count();
            assert!(count >= SAMPLES.len(), "{word:?} {count} times in {asked}");
        }
    }
}

#[test]
fn one_question_is_answered() {
    run(|| async { drop(ready().await) });
    for (model, question) in [
        (
            "lotoai",
            "Where does LotoAI keep the password of the first user?",
        ),
        (
            "writer",
            "Write one sentence that welcomes a new colleague.",
        ),
    ] {
        let text = demo("en_US.UTF-8", &["ask", "--model", model, "--", question]);
        let (answer, about) = text.split_once("  decision: ").unwrap();
        assert!(!answer.trim().is_empty(), "{text}");
        assert!(about.contains("first token"), "{text}");
    }
}
