//! HTML to a tree that is no larger than its limits.
//!
//! What is bold, a link or code and was not ended goes on in the paragraph after it: the parser makes
//! such elements again for each of them, with all of their attributes. So a page of a few kilobytes
//! can ask for millions of nodes. What is made is counted as it is made, and after the tag that passes
//! a limit the rest of the page makes nothing.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::rc::{Rc, Weak};
use std::time::Instant;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use html5ever::tree_builder::{
    ElementFlags, NodeOrText, QuirksMode, TreeBuilder, TreeBuilderOpts, TreeSink,
};
use html5ever::{Attribute, ExpandedName, QualName, TokenizerResult};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::Limits;
use crate::domain::parse::ParseError;

/// The page is parsed in pieces of this many bytes: a single tag may be most of a page, and the time
/// that it takes is looked at between them.
const PIECE_BYTES: usize = 16 * 1024;

/// Parses a page.
///
/// # Errors
/// It passes a limit.
pub(super) fn parse(page: &str, limits: Limits) -> Result<Handle, ParseError> {
    let parser = Parser::new(limits);
    parser.read(page)?;
    Ok(parser.document())
}

/// A parser that makes nothing more once a limit is passed.
pub(super) struct Parser {
    tokenizer: Tokenizer<Guard>,
}

impl Parser {
    pub(super) fn new(limits: Limits) -> Self {
        let tree = Tree {
            dom: RcDom::default(),
            limits,
            parts: Cell::new(0),
            refusal: OnceCell::new(),
        };
        let guard = Guard {
            end: Instant::now() + limits.time,
            builder: TreeBuilder::new(tree, TreeBuilderOpts::default()),
        };
        Self {
            tokenizer: Tokenizer::new(guard, TokenizerOpts::default()),
        }
    }

    pub(super) fn read(&self, page: &str) -> Result<(), ParseError> {
        let input = BufferQueue::default();
        let guard = &self.tokenizer.sink;
        let mut rest = page;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
            input.push_back(StrTendril::from(piece));
            // It stops at scripts, which nobody runs.
            while !matches!(self.tokenizer.feed(&input), TokenizerResult::Done) {}
            rest = after;
            guard.goes_on()?;
        }
        self.tokenizer.end();
        guard.goes_on()
    }

    pub(super) fn document(self) -> Handle {
        self.tokenizer.sink.builder.sink.dom.document
    }

    /// Nodes and attributes that were made.
    #[cfg(test)]
    pub(super) fn parts(&self) -> usize {
        self.tokenizer.sink.builder.sink.parts.get()
    }
}

/// Stands between the tokenizer and the builder of the tree, and keeps tokens from it once a limit is
/// passed. The token that passes it makes only what goes on behind it, one within the other: not more
/// elements than the tree may be deep.
struct Guard {
    builder: TreeBuilder<Handle, Tree>,
    end: Instant,
}

impl Guard {
    fn goes_on(&self) -> Result<(), ParseError> {
        let tree = &self.builder.sink;
        if Instant::now() > self.end {
            tree.refuse(tree.limits.takes_too_long());
        }
        tree.refusal.get().cloned().map_or(Ok(()), Err)
    }
}

impl TokenSink for Guard {
    type Handle = Handle;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<Handle> {
        if self.goes_on().is_err() {
            return TokenSinkResult::Continue;
        }
        self.builder.process_token(token, line)
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.builder
            .adjusted_current_node_present_but_not_in_html_namespace()
    }
}

/// A tree that counts what is made of it.
struct Tree {
    dom: RcDom,
    limits: Limits,
    parts: Cell<usize>,
    refusal: OnceCell<ParseError>,
}

impl Tree {
    /// Notes the first reason to refuse the page.
    fn refuse(&self, error: ParseError) {
        self.refusal.get_or_init(|| error);
    }

    fn count(&self, parts: usize) {
        let parts = self.parts.get().saturating_add(parts);
        self.parts.set(parts);
        if parts > self.limits.parts {
            self.refuse(ParseError::TooManyParts {
                limit: self.limits.parts,
            });
        }
    }
}

impl TreeSink for Tree {
    type Handle = Handle;
    type Output = Self;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> Self {
        self
    }

    /// Hardly a page is without an error.
    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        self.dom.get_document()
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> ExpandedName<'a> {
        self.dom.elem_name(target)
    }

    fn create_element(&self, name: QualName, attrs: Vec<Attribute>, flags: ElementFlags) -> Handle {
        self.count(1 + attrs.len());
        self.dom.create_element(name, attrs, flags)
    }

    fn create_comment(&self, text: StrTendril) -> Handle {
        self.count(1);
        self.dom.create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> Handle {
        self.count(1);
        self.dom.create_pi(target, data)
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        match &child {
            // The parser looks through all open elements at every tag, so a page that is too deep is
            // given up as soon as it is.
            NodeOrText::AppendNode(_) if is_deep(parent, self.limits.depth) => {
                self.refuse(self.limits.is_too_deep());
            }
            NodeOrText::AppendText(_) if !ends_with_text(parent) => self.count(1),
            _ => {}
        }
        self.dom.append(parent, child);
    }

    fn append_before_sibling(&self, sibling: &Handle, child: NodeOrText<Handle>) {
        // Stray text in a table; whether it joins another one is not worth looking.
        if matches!(child, NodeOrText::AppendText(_)) {
            self.count(1);
        }
        self.dom.append_before_sibling(sibling, child);
    }

    fn append_based_on_parent_node(
        &self,
        element: &Handle,
        previous: &Handle,
        child: NodeOrText<Handle>,
    ) {
        if parent(element).is_some() {
            self.append_before_sibling(element, child);
        } else {
            self.append(previous, child);
        }
    }

    fn append_doctype_to_document(&self, name: StrTendril, public: StrTendril, system: StrTendril) {
        self.dom.append_doctype_to_document(name, public, system);
    }

    fn get_template_contents(&self, target: &Handle) -> Handle {
        self.dom.get_template_contents(target)
    }

    fn same_node(&self, x: &Handle, y: &Handle) -> bool {
        self.dom.same_node(x, y)
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.dom.set_quirks_mode(mode);
    }

    /// Attributes that a second `html` or `body` adds say nothing to readers, and each comparison of
    /// them is with all that are there.
    fn add_attrs_if_missing(&self, _: &Handle, _: Vec<Attribute>) {}

    fn remove_from_parent(&self, target: &Handle) {
        self.dom.remove_from_parent(target);
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        self.dom.reparent_children(node, new_parent);
    }

    fn is_mathml_annotation_xml_integration_point(&self, target: &Handle) -> bool {
        self.dom.is_mathml_annotation_xml_integration_point(target)
    }
}

/// The node and those around it, from the inside out.
pub(super) fn ancestors(node: &Handle) -> impl Iterator<Item = Handle> {
    std::iter::successors(Some(Rc::clone(node)), parent)
}

fn parent(node: &Handle) -> Option<Handle> {
    let weak = node.parent.take();
    let parent = weak.as_ref().and_then(Weak::upgrade);
    node.parent.set(weak);
    parent
}

/// Whether what is put into the node would be deeper than `limit` levels; the root is the first.
fn is_deep(node: &Handle, limit: usize) -> bool {
    ancestors(node).nth(limit.saturating_sub(1)).is_some()
}

fn ends_with_text(node: &Handle) -> bool {
    let children = node.children.borrow();
    children
        .last()
        .is_some_and(|last| matches!(last.data, NodeData::Text { .. }))
}
