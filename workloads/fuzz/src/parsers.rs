//! Whether everything in the gateway's `domain` that reads bytes of strangers is run by a target.

use std::path::Path;

/// What a function takes that reads a request.
const INPUTS: [&str; 6] = [
    "&[u8]",
    "&mut Parameters",
    "Option<&str>",
    "(name: &str",
    "(id: &str",
    "text: &str",
];
/// What is no reader of requests, or is one only behind another.
const OTHERS: [(&str, &str); 6] = [
    ("annotations.rs: of", "of an answer of ours"),
    ("chat_request.rs: json", "the first step of every body"),
    ("snippet.rs: pieces", "what the database marked"),
    ("text.rs: json_or_text", "the result of a tool"),
    ("text.rs: without_nul", "a part of a message"),
    ("usage_request.rs: date", "a part of a span"),
];
const TARGETS: [&str; 4] = [
    include_str!("credentials.rs"),
    include_str!("queries.rs"),
    include_str!("requests.rs"),
    include_str!("sign_in.rs"),
];

/// The public functions of a file, without its tests: what each belongs to, its name and signature.
fn functions(text: &str) -> Vec<(String, String, String)> {
    let end = text.find("#[cfg(test)]").unwrap_or(text.len());
    let (mut owner, mut found) = (String::new(), Vec::new());
    let mut lines = text[..end].lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("impl") {
            // `impl<T> Page<T> {`
            let name = rest.trim_start_matches(|it: char| it != ' ').trim_start();
            let name: String = name.chars().take_while(|it| it.is_alphanumeric()).collect();
            owner = name;
        } else if line == "}" {
            owner.clear();
        } else if let Some(rest) = line.trim_start().strip_prefix("pub fn ") {
            let name: String = rest
                .chars()
                .take_while(|it| it.is_alphanumeric() || *it == '_')
                .collect();
            let mut signature = rest.to_owned();
            while !signature.contains('{') {
                let Some(more) = lines.next() else {
                    break;
                };
                signature.push_str(more.trim());
            }
            found.push((owner.clone(), name, signature));
        }
    }
    found
}

/// Whether a target calls a function: by its name, or as a method.
fn is_called(owner: &str, name: &str) -> bool {
    let called = |how: &str| TARGETS.iter().any(|text| text.contains(how));
    if owner.is_empty() {
        [" ", "(", "::", "!"]
            .iter()
            .any(|before| called(&format!("{before}{name}(")))
    } else {
        called(&format!("{owner}::{name}(")) || called(&format!(".{name}("))
    }
}

#[test]
fn every_reader_of_requests_is_run_by_a_target() {
    let domain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/src/domain");
    let (mut readers, mut missing, mut others) = (Vec::new(), Vec::new(), 0);
    for entry in std::fs::read_dir(domain).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        // Fields are read out of values that the readers of bodies have read.
        if file.ends_with("_tests.rs") || file == "fields.rs" {
            continue;
        }
        for (owner, name, signature) in functions(&std::fs::read_to_string(&path).unwrap()) {
            if !INPUTS.iter().any(|input| signature.contains(input)) {
                continue;
            }
            let place = format!("{file}: {name}");
            if OTHERS.iter().any(|(other, _)| *other == place) {
                others += 1;
                continue;
            }
            readers.push(format!("{owner}::{name}"));
            if !is_called(&owner, &name) {
                missing.push(place);
            }
        }
    }
    assert_eq!(others, OTHERS.len(), "what is excused is there");
    assert!(missing.is_empty(), "without a target: {missing:?}");
    // The controls: these are readers.
    for reader in [
        "ChatRequest::parse",
        "ResponsesRequest::parse",
        "EmbeddingRequest::parse",
        "BranchRequest::parse",
        "KeyRequest::parse",
        "Parameters::parse",
        "PageQuery::of",
        "Format::of",
        "TextCheck::push",
        "::rename",
        "::search",
        "::span",
        "::file_name",
        "::knowledge_base",
        "::run_of",
    ] {
        assert!(
            readers.iter().any(|it| it == reader),
            "{reader}: {readers:?}"
        );
    }
}

/// The control: one that no target names is not called.
#[test]
fn a_reader_without_a_target_is_found() {
    let text = "impl New {\n    pub fn parse(\n        body: &[u8],\n    ) -> Self {\n    }\n}\n\
                pub fn read(id: &str) -> u8 {\n}\n#[cfg(test)]\npub fn test(id: &str) {}\n";
    let found = functions(text);
    let names: Vec<_> = found
        .iter()
        .map(|(owner, name, _)| format!("{owner}::{name}"))
        .collect();
    assert_eq!(names, ["New::parse", "::read"]);
    assert!(!is_called("New", "parse_of_new"));
    assert!(!is_called("", "read_of_new"));
}
