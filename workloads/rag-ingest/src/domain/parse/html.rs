//! HTML to Markdown, for pages that strangers wrote.
//!
//! The converter calls itself once for every level of the page, and the parser looks through all
//! open elements at every tag. So the tree is measured before it is converted, its growth while it
//! is parsed, and the conversion has a stack of its own that holds the deepest tree.

use std::rc::Rc;
use std::time::{Duration, Instant};

use htmd::{HtmlToMarkdown, Node};
use html5ever::tendril::{StrTendril, TendrilSink as _};
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::RcDom;

use super::ParseError;

/// Elements of a page that hold no text for readers.
const NO_TEXT: [&str; 8] = [
    "script", "style", "noscript", "template", "nav", "svg", "iframe", "head",
];
/// The deepest tree, with the document and the text in it. Browsers stop at 512 as well.
pub(super) const MAX_DEPTH: usize = 512;
/// A level takes a few kilobytes of stack; only what is used is ever in memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Parsing takes well under a second for a page of 32 MiB that is not made to be slow.
const PARSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The page is parsed in pieces of this many bytes; time and depth are looked at between them.
const PIECE_BYTES: usize = 16 * 1024;

/// Converts a page.
///
/// # Errors
/// It is nested too deeply, takes too long, or makes the converter stop.
pub(super) fn to_markdown(page: &str) -> Result<String, ParseError> {
    let stopped = |cause: String| ParseError::BadHtml { cause };
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("html".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || convert(page))
            .map_err(|error| stopped(error.to_string()))?
            .join()
            .unwrap_or_else(|_| Err(stopped("the converter stopped".to_owned())))
    })
}

fn convert(page: &str) -> Result<String, ParseError> {
    let tree = parse(page)?;
    if depth(&tree) > MAX_DEPTH {
        return Err(too_deep());
    }
    let converter = HtmlToMarkdown::builder()
        .skip_tags(NO_TEXT.to_vec())
        .build();
    Ok(converter.tree_to_markdown(&tree))
}

fn parse(page: &str) -> Result<Rc<Node>, ParseError> {
    let end = Instant::now() + PARSE_TIMEOUT;
    let mut parser = parse_document(RcDom::default(), ParseOpts::default());
    let mut rest = page;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        parser.process(StrTendril::from(piece));
        rest = after;
        if depth_at_the_end(&parser.tokenizer.sink.sink.document) > MAX_DEPTH {
            return Err(too_deep());
        }
        // The end of the tree is not always where it grows, so the time is watched as well.
        if Instant::now() > end {
            return Err(ParseError::TooComplex {
                seconds: PARSE_TIMEOUT.as_secs(),
            });
        }
    }
    Ok(parser.finish().document)
}

fn too_deep() -> ParseError {
    ParseError::NestedTooDeeply { limit: MAX_DEPTH }
}

/// Levels from the root to the deepest node. Not recursive: the tree may be as deep as it likes.
fn depth(root: &Rc<Node>) -> usize {
    let mut deepest = 0;
    let mut open = vec![(Rc::clone(root), 1)];
    while let Some((node, level)) = open.pop() {
        deepest = deepest.max(level);
        let children = node.children.borrow();
        open.extend(children.iter().map(|child| (Rc::clone(child), level + 1)));
    }
    deepest
}

/// Levels along the last children: where a parser adds nearly always.
fn depth_at_the_end(root: &Rc<Node>) -> usize {
    let mut level = 1;
    let mut node = Rc::clone(root);
    loop {
        let last = node.children.borrow().last().cloned();
        let Some(last) = last else { return level };
        node = last;
        level += 1;
    }
}
