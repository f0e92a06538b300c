//! A tree to Markdown that is no longer than its limit.
//!
//! A quote puts two characters before each of its lines and a list more of them, a link that goes on
//! in many paragraphs has its address in each, and a fence is longer than what is within it. One in
//! another, they multiply. So what these elements write is counted as it is written.

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use htmd::element_handler::{HandlerResult, Handlers};
use htmd::{Element, HtmlToMarkdown};
use html5ever::tendril::StrTendril;
use markup5ever_rcdom::{Handle, Node, NodeData};

use super::Limits;
use super::tree::ancestors;
use crate::domain::parse::ParseError;

/// Elements of a page that hold no text for readers.
const NO_TEXT: [&str; 8] = [
    "script", "style", "noscript", "template", "nav", "svg", "iframe", "head",
];
/// Elements that write more than what is in them and a few characters.
const MULTIPLYING: [&str; 5] = ["a", "blockquote", "code", "li", "ol"];
/// The converter joins parts of a text that are alike and stand side by side, and moves all children
/// after them each time. In an element with more children than this they stay apart.
const MAX_JOINED: usize = 256;

/// Converts a tree that is not too deep for the stack.
///
/// # Errors
/// It becomes too long, or takes too long.
pub(super) fn from_tree(tree: &Handle, limits: Limits) -> Result<String, ParseError> {
    keep_apart(tree);
    let budget = Arc::new(Budget {
        limits,
        end: Instant::now() + limits.time,
        written: AtomicUsize::new(0),
        refusal: OnceLock::new(),
    });
    let (all, tables) = (Arc::clone(&budget), Arc::clone(&budget));
    let converter = HtmlToMarkdown::builder()
        .skip_tags(NO_TEXT.to_vec())
        .add_handler(
            MULTIPLYING.to_vec(),
            move |handlers: &dyn Handlers, element: Element<'_>| {
                all.spend(|| handlers.fallback(element))
            },
        )
        .add_handler(
            vec!["table"],
            move |handlers: &dyn Handlers, element: Element<'_>| {
                tables.spend(|| table(handlers, element.node))
            },
        )
        .build();
    let text = converter.tree_to_markdown(tree);
    budget.refusal.get().cloned().map_or(Ok(text), Err)
}

/// What may be written still.
struct Budget {
    limits: Limits,
    end: Instant,
    /// Bytes that the elements wrote that are done, without those that went into one around them.
    written: AtomicUsize,
    refusal: OnceLock<ParseError>,
}

impl Budget {
    /// Has an element written, or nothing once a limit is passed.
    fn spend(&self, write: impl FnOnce() -> Option<HandlerResult>) -> Option<HandlerResult> {
        if Instant::now() > self.end {
            self.refusal.get_or_init(|| self.limits.takes_too_long());
        }
        if self.refusal.get().is_some() {
            return None;
        }
        // One thread converts.
        let before = self.written.load(Ordering::Relaxed);
        let result = write();
        let bytes = result.as_ref().map_or(0, |result| result.content.len());
        self.written.store(before + bytes, Ordering::Relaxed);
        let limit = self.limits.markdown_bytes;
        if before + bytes > limit {
            self.refusal
                .get_or_init(|| ParseError::TooMuchText { limit });
            return None;
        }
        result
    }
}

/// Makes the converter find nothing to join where that would take time in the square of the children:
/// it joins only what holds one text and no more.
fn keep_apart(tree: &Handle) {
    let nothing = Node::new(NodeData::Text {
        contents: StrTendril::new().into(),
    });
    let mut open = vec![Rc::clone(tree)];
    while let Some(node) = open.pop() {
        let children = node.children.borrow();
        let apart = children.len() > MAX_JOINED;
        for child in children.iter() {
            let mut inner = child.children.borrow_mut();
            if apart && inner.len() == 1 {
                inner.push(Rc::clone(&nothing));
            }
        }
        open.extend(children.iter().cloned());
    }
}

/// The rows of a table, each with the cells that it has. The converter would make all as wide as the
/// widest of their column, which multiplies a long one by the rows, and convert the caption twice
/// where there is no row, which doubles with each table in a caption. A table without a header only
/// places what is in it, and so does one in a cell, where rows have no place.
fn table(handlers: &dyn Handlers, table: &Handle) -> Option<HandlerResult> {
    let rows: Vec<Handle> = children(table, &["thead", "tbody", "tfoot"])
        .iter()
        .flat_map(|part| children(part, &["tr"]))
        .collect();
    let has_header = !children(table, &["thead"]).is_empty()
        || rows.iter().any(|row| !children(row, &["th"]).is_empty());
    let is_in_a_cell = ancestors(table).any(|node| is_a(&node, &["td", "th"]));
    if !has_header || is_in_a_cell || rows.is_empty() {
        return Some(handlers.walk_children(table));
    }
    let content = |node: &Handle| handlers.handle(node).map(|result| result.content);
    let mut text = String::from("\n\n");
    for caption in children(table, &["caption"]) {
        text.push_str(content(&caption).unwrap_or_default().trim());
        text.push_str("\n\n");
    }
    for (index, row) in rows.iter().enumerate() {
        let cells = children(row, &["td", "th"]);
        text.push('|');
        for cell in &cells {
            text.push(' ');
            push_on_one_line(&mut text, &content(cell).unwrap_or_default());
            text.push_str(" |");
        }
        text.push('\n');
        if index == 0 {
            text.push('|');
            text.push_str(&" --- |".repeat(cells.len()));
            text.push('\n');
        }
    }
    text.push('\n');
    Some(text.into())
}

fn children(node: &Handle, tags: &[&str]) -> Vec<Handle> {
    let children = node.children.borrow();
    let wanted = children.iter().filter(|child| is_a(child, tags));
    wanted.cloned().collect()
}

fn is_a(node: &Handle, tags: &[&str]) -> bool {
    matches!(&node.data, NodeData::Element { name, .. } if tags.contains(&&*name.local))
}

/// A row is a line, and a bar ends a cell.
fn push_on_one_line(text: &mut String, cell: &str) {
    let mut gap = "";
    for word in cell.split_whitespace() {
        text.push_str(gap);
        text.push_str(&word.replace('|', "\\|"));
        gap = " ";
    }
}
