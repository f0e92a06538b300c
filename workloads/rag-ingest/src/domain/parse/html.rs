//! HTML to Markdown, for pages that strangers wrote.
//!
//! A small page may ask for a tree, or a text, of any size. So what the parser makes and what the
//! converter writes is counted while they do. The converter calls itself once for every level of the
//! tree, so that is measured before, and the conversion has a stack of its own that holds the deepest.

mod markdown;
mod tree;

use std::rc::Rc;
use std::time::Duration;

use markup5ever_rcdom::Handle;

use super::ParseError;

/// The deepest tree, with the document and the text in it. Browsers stop at 512 as well.
pub(super) const MAX_DEPTH: usize = 512;
/// A level takes a few kilobytes of stack; only what is used is ever in memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// How much may become of a page.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Levels of the tree.
    depth: usize,
    /// Elements, attributes, texts and comments.
    parts: usize,
    /// Bytes of Markdown.
    markdown_bytes: usize,
    /// How long parsing may take, and how long converting.
    time: Duration,
}

/// A tree of as many parts takes less than 400 MB of the gigabyte that a pod may take. No page that can
/// be indexed passes a limit: 5,000 chunks are about 2.5 MB of text, and in 32 MiB of HTML there is a
/// part for every 17 bytes only where it is mostly numbers in cells, which are too many chunks long
/// before, or source text of which each sign is coloured for itself, of more than about 14 MB. Parsing and converting take well under a second each for a page that is not made to be slow.
const LIMITS: Limits = Limits {
    depth: MAX_DEPTH,
    parts: 2_000_000,
    markdown_bytes: 32 * 1024 * 1024,
    time: Duration::from_secs(30),
};

impl Limits {
    fn is_too_deep(self) -> ParseError {
        ParseError::NestedTooDeeply { limit: self.depth }
    }

    fn takes_too_long(self) -> ParseError {
        ParseError::TooComplex {
            seconds: self.time.as_secs(),
        }
    }
}

/// Converts a page.
///
/// # Errors
/// It passes a limit, or makes the converter stop.
pub(super) fn to_markdown(page: &str) -> Result<String, ParseError> {
    let stopped = |cause: String| ParseError::BadHtml { cause };
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("html".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || convert(page, LIMITS))
            .map_err(|error| stopped(error.to_string()))?
            .join()
            .unwrap_or_else(|_| Err(stopped("the converter stopped".to_owned())))
    })
}

fn convert(page: &str, limits: Limits) -> Result<String, ParseError> {
    let tree = tree::parse(page, limits)?;
    // What is moved while it is parsed may have become deeper.
    if depth(&tree) > limits.depth {
        return Err(limits.is_too_deep());
    }
    markdown::from_tree(&tree, limits)
}

/// Levels from the root to the deepest node. Not recursive: the tree may be as deep as it likes.
fn depth(root: &Handle) -> usize {
    let mut deepest = 0;
    let mut open = vec![(Rc::clone(root), 1)];
    while let Some((node, level)) = open.pop() {
        deepest = deepest.max(level);
        let children = node.children.borrow();
        open.extend(children.iter().map(|child| (Rc::clone(child), level + 1)));
    }
    deepest
}

#[cfg(test)]
mod tests;
