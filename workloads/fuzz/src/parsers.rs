//! Whether everything in the gateway's `domain` that reads bytes of strangers is run by a target.

use std::path::Path;

/// What a function takes that reads a request.
const INPUTS: [&str; 7] = [
    "&[u8]",
    "&HeaderMap",
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

/// A public function.
struct Function {
    /// The file that it is in, without its ending.
    module: String,
    /// The type that it belongs to, if any.
    owner: String,
    name: String,
    /// From its name on.
    signature: String,
}

impl Function {
    /// As it is written where it is used.
    fn path(&self) -> String {
        format!("{}::{}", self.owner, self.name)
    }

    /// Whether it is called on a value of its type.
    fn is_method(&self) -> bool {
        let arguments = self.signature.split_once('(').map_or("", |it| it.1);
        ["self", "mut self", "&self", "&mut self"]
            .iter()
            .any(|receiver| arguments.starts_with(receiver))
    }

    /// Whether one of these texts calls it: as a method, by its type, or by its own name or that of
    /// its file. What has the same name elsewhere does not count.
    fn is_called(&self, texts: &[&str]) -> bool {
        let call = format!("{}(", self.name);
        let is_this = |before: &str| {
            if self.owner.is_empty() {
                follows(before, &self.module) || is_bare(before)
            } else if self.is_method() {
                before.ends_with('.')
            } else {
                follows(before, &self.owner)
            }
        };
        texts.iter().any(|text| {
            text.match_indices(&call)
                .any(|(at, _)| is_this(&text[..at]))
        })
    }
}

const fn is_of_name(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '_'
}

/// Whether what comes after `before` belongs to this type or file.
fn follows(before: &str, owner: &str) -> bool {
    let path = before.strip_suffix("::");
    let rest = path.and_then(|path| path.strip_suffix(owner));
    rest.is_some_and(|rest| !rest.ends_with(is_of_name))
}

/// Whether what comes after `before` stands alone: a part of no other name, and no definition.
fn is_bare(before: &str) -> bool {
    !before.ends_with(|it: char| is_of_name(it) || it == '.' || it == ':')
        && !before.ends_with("fn ")
}

/// The public functions of a file, without its tests.
fn functions(module: &str, text: &str) -> Vec<Function> {
    let end = text.find("#[cfg(test)]").unwrap_or(text.len());
    let (mut owner, mut found) = (String::new(), Vec::new());
    let mut lines = text[..end].lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("impl") {
            // `impl<T> Page<T> {`
            let name = rest.trim_start_matches(|it: char| it != ' ').trim_start();
            owner = name.chars().take_while(|it| is_of_name(*it)).collect();
        } else if line == "}" {
            owner.clear();
        } else if let Some(rest) = line.trim_start().strip_prefix("pub fn ") {
            let mut signature = rest.to_owned();
            while !signature.contains('{') {
                let Some(more) = lines.next() else {
                    break;
                };
                signature.push_str(more.trim());
            }
            found.push(Function {
                module: module.to_owned(),
                owner: owner.clone(),
                name: rest.chars().take_while(|it| is_of_name(*it)).collect(),
                signature,
            });
        }
    }
    found
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
        let text = std::fs::read_to_string(&path).unwrap();
        for function in functions(file.trim_end_matches(".rs"), &text) {
            let mut inputs = INPUTS.iter();
            if !inputs.any(|input| function.signature.contains(input)) {
                continue;
            }
            let place = format!("{file}: {}", function.name);
            if OTHERS.iter().any(|(other, _)| *other == place) {
                others += 1;
                continue;
            }
            readers.push(function.path());
            if !function.is_called(&TARGETS) {
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
        "Creation::of",
        "::offset",
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

/// The controls: one that no target names is not called, though others have its name.
#[test]
fn a_reader_without_a_target_is_found() {
    let text = "impl New {\n    pub fn parse(\n        body: &[u8],\n    ) -> Self {\n    }\n    \
                pub fn push(&mut self, chunk: &[u8]) {\n    }\n}\n\
                pub fn parse(id: &str) -> u8 {\n}\n#[cfg(test)]\npub fn test(id: &str) {}\n";
    let found = functions("new_request", text);
    let paths: Vec<_> = found.iter().map(Function::path).collect();
    assert_eq!(paths, ["New::parse", "New::push", "::parse"]);
    let [associated, method, free] = &found[..] else {
        panic!("{paths:?}");
    };
    // There are targets that parse something.
    assert!(TARGETS.iter().any(|text| text.contains("::parse(")));
    assert!(!associated.is_called(&TARGETS) && !free.is_called(&TARGETS));
    let callers = |call: &str| [associated, method, free].map(|it| it.is_called(&[call]));
    assert_eq!(callers("match New::parse(bytes) {"), [true, false, false]);
    assert_eq!(callers("check.push(piece)"), [false, true, false]);
    assert_eq!(callers("new_request::parse(bytes)"), [false, false, true]);
    assert_eq!(callers("match parse(text) {"), [false, false, true]);
    for other in [
        "BrandNew::parse(bytes)",
        "renew_request::parse(bytes)",
        "text.parse()",
        "reparse(text)",
        "fn parse(bytes: &[u8]) {",
        "New::push_all(bytes)",
    ] {
        assert_eq!(callers(other), [false; 3], "{other}");
    }
}
