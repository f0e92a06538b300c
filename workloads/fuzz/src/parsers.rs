//! Whether everything in the gateway that reads bytes of strangers is run by a target.
//!
//! In `domain` that is what others can call. In the places of [`BESIDE`] every function counts, also
//! one that is private so far; what is async asks somebody, and reads by means of functions like these.

use std::path::{Path, PathBuf};

/// What a function takes that reads a request.
const INPUTS: [&str; 13] = [
    "&[u8]",
    "&HeaderMap",
    "&HeaderValue",
    "&Parts",
    "&Request",
    "&Uri",
    "&mut Parameters",
    "Option<&str>",
    "(name: &str",
    "(id: &str",
    "text: &str",
    "token: &str",
    "cookie: &str",
];
/// What is no reader of requests, or is one only behind another.
const OTHERS: [(&str, &str); 28] = [
    ("domain/annotations.rs: of", "of an answer of ours"),
    ("domain/json_body.rs: read", "the first step of every body"),
    ("domain/page.rs: with_token", "a token of ours"),
    ("domain/snippet.rs: pieces", "what the database marked"),
    ("domain/text.rs: json_or_text", "the result of a tool"),
    ("domain/text.rs: without_nul", "a part of a message"),
    ("domain/usage_request.rs: date", "a part of a span"),
    ("idempotency/mod.rs: headers", "of an answer of ours"),
    (
        "idempotency/mod.rs: key_of",
        "the key, and what is known of who sent it",
    ),
    ("identity/api_key.rs: hash", "a digest"),
    ("identity/api_key.rs: shown", "the id of a key of ours"),
    ("identity/discovery.rs: below", "a part of a document"),
    ("identity/discovery.rs: endpoint", "a part of a document"),
    ("identity/probe.rs: admit", "the route that was chosen"),
    ("identity/probe.rs: digest", "a digest"),
    ("identity/probe.rs: is", "a digest"),
    ("identity/session.rs: hash", "a digest"),
    ("identity/session.rs: set_cookie", "is written"),
    ("identity/session.rs: unseal", "what was sealed here"),
    ("routes/approvals.rs: known", "an id, by its own crate"),
    ("routes/budget_rules.rs: absent", "is written"),
    ("routes/budget_rules.rs: taken", "is written"),
    ("routes/conversations.rs: known", "an id, by its own crate"),
    ("routes/sign_in_page.rs: address", "is written"),
    ("routes/sign_in_page.rs: range", "a part of `Accept`"),
    ("routes/v1/chat.rs: make_room", "who asks"),
    ("routes/v1/models.rs: new", "is written"),
    (
        "routes/v1/responses/inputs.rs: without_include",
        "a part of the query",
    ),
];
/// Files that read no requests.
const PASSED: [&str; 5] = [
    // Out of values that the readers of bodies have read.
    "domain/fields.rs",
    // What was sealed here; `login_cookie` runs it all the same.
    "identity/seal.rs",
    // These write answers.
    "routes/v1/chunks.rs",
    "routes/v1/responses/object.rs",
    "routes/v1/resume/source.rs",
];
/// Where there are readers beside `domain`.
const BESIDE: [&str; 5] = [
    "idempotency",
    "identity",
    "routes",
    "uploads",
    "model_server.rs",
];
const TARGETS: [&str; 7] = [
    include_str!("credentials.rs"),
    include_str!("issuer.rs"),
    include_str!("queries.rs"),
    include_str!("requests.rs"),
    include_str!("routes.rs"),
    include_str!("sign_in.rs"),
    include_str!("upstream.rs"),
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

    /// Whether it takes what a request brings.
    fn reads(&self) -> bool {
        let taken = self.signature.split(" -> ").next().unwrap();
        // `&'h HeaderMap` is `&HeaderMap`.
        let mut pieces = taken.split("&'");
        let mut plain = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let rest = piece.split_once(' ').map_or("", |it| it.1);
            plain.push('&');
            plain.push_str(rest);
        }
        INPUTS.iter().any(|input| plain.contains(input))
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

/// What makes a function one that counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counts {
    Public,
    All,
}

/// From the name of a function on, where a line defines one that counts.
fn defined(line: &str, counts: Counts) -> Option<&str> {
    let line = line.trim_start();
    if counts == Counts::Public {
        return line.strip_prefix("pub fn ");
    }
    let line = match line.strip_prefix("pub") {
        // `pub(super) fn`
        Some(rest) => rest.split_once(' ').map_or("", |it| it.1),
        None => line,
    };
    line.strip_prefix("const ")
        .unwrap_or(line)
        .strip_prefix("fn ")
}

/// The functions of a file that count, without its tests.
fn functions(module: &str, text: &str, counts: Counts) -> Vec<Function> {
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
        } else if let Some(rest) = defined(line, counts) {
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

/// The files with Rust in a directory and below it, or the one file, without those of tests.
fn files(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap().to_string_lossy();
    if path.is_dir() && name != "tests" {
        let entries = std::fs::read_dir(path).unwrap();
        return entries
            .flat_map(|entry| files(&entry.unwrap().path()))
            .collect();
    }
    let is_code = name.ends_with(".rs") && !name.ends_with("tests.rs");
    is_code.then(|| path.to_owned()).into_iter().collect()
}

#[test]
fn every_reader_of_requests_is_run_by_a_target() {
    let gateway = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/src");
    let (mut readers, mut missing, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let beside = BESIDE.map(|place| (place, Counts::All));
    for (place, counts) in [("domain", Counts::Public)].into_iter().chain(beside) {
        let found = files(&gateway.join(place));
        assert!(!found.is_empty(), "{place} is where it was");
        for path in found {
            let file = path.strip_prefix(&gateway).unwrap().to_string_lossy();
            if PASSED.iter().any(|passed| *passed == file) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // `uploads/mod.rs` is called `uploads`.
            let module = file.trim_end_matches("/mod.rs").trim_end_matches(".rs");
            let module = module.rsplit('/').next().unwrap();
            for function in functions(module, &text, counts) {
                if !function.reads() {
                    continue;
                }
                let place = format!("{file}: {}", function.name);
                if OTHERS.iter().any(|(other, _)| *other == place) {
                    others.push(place);
                    continue;
                }
                readers.push(function.path());
                if !function.is_called(&TARGETS) {
                    missing.push(place);
                }
            }
        }
    }
    let excused = OTHERS.map(|(place, _)| place);
    let gone: Vec<_> = excused
        .iter()
        .filter(|place| !others.iter().any(|other| other == *place))
        .collect();
    assert!(gone.is_empty(), "excused, but not there: {gone:?}");
    assert!(missing.is_empty(), "without a target: {missing:?}");
    // The controls: these are readers.
    for reader in [
        "ChatRequest::parse",
        "ResponsesRequest::parse",
        "EmbeddingRequest::parse",
        "BranchRequest::parse",
        "KeyRequest::parse",
        "RequestHash::begin",
        "RequestHash::push",
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
        "::bearer",
        "::by",
        "::check",
        "::confirmed",
        "::cookie",
        "::endpoints_of",
        "::flag",
        "::header_of",
        "::is_resumable",
        "::key_set",
        "::refusal",
        "::token_of",
        "Shown::of",
        "Wanted::of",
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
    let found = functions("new_request", text, Counts::Public);
    let paths: Vec<_> = found.iter().map(Function::path).collect();
    assert_eq!(paths, ["New::parse", "New::push", "::parse"]);
    let [associated, method, free] = &found[..] else {
        panic!("{paths:?}");
    };
    // There are targets that parse something.
    assert!(TARGETS.iter().any(|text| text.contains("::parse(")));
    assert!(!associated.is_called(&TARGETS) && !free.is_called(&TARGETS));
    let private = "fn a(text: &str) {\n}\npub(super) fn b(text: &str) {\n}\nconst fn c(text: &str) {\n}\n\
                   async fn d(text: &str) {\n}\npub async fn e(text: &str) {\n}\n";
    assert!(functions("new", private, Counts::Public).is_empty());
    let names: Vec<_> = functions("new", private, Counts::All)
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
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
