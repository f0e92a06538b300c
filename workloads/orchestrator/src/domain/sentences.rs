//! Sentences of a passage, with the Markdown around them taken off.

use super::markdown::{self, Fence};

/// Shorter pieces say nothing that could be an answer, in characters.
const SHORTEST: usize = 12;
/// Longer ones are cut at a word, in characters: a table or a log line is no sentence.
const LONGEST: usize = 600;

/// Abbreviations after which a full stop ends nothing, folded and with the stop.
const ABBREVIATIONS: &[&str] = &[
    "e.g.", "i.e.", "etc.", "vs.", "no.", "fig.", "dr.", "mr.", "mrs.", "sr.", "sra.", "p.", "ej.",
    "pag.", "approx.",
];

/// A piece of a passage that can stand in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The text, one line.
    pub text: String,
    /// It announces a list: what follows belongs to it.
    pub opens_list: bool,
    /// It is an entry of a list.
    pub list_item: bool,
    /// The nearest heading above it; empty if there is none.
    pub heading: String,
}

/// Lines that belong together and have not been split yet.
#[derive(Default)]
struct Block {
    text: String,
    is_item: bool,
}

/// Splits a passage. Headings and code fences are left out; a list entry is a sentence, with the
/// lines that continue it.
#[must_use]
pub fn split(passage: &str) -> Vec<Sentence> {
    let mut sentences: Vec<Sentence> = Vec::new();
    let mut heading = String::new();
    let mut finished = 0;
    let mut block = Block::default();
    let mut fence: Option<Fence> = None;
    for line in without_cut_code(passage).lines() {
        if let Some(open) = &fence {
            if open.closed_by(line) {
                fence = None;
            }
            continue;
        }
        fence = Fence::open(line);
        if fence.is_some() {
            flush(&mut block, &mut sentences);
            continue;
        }
        let line = line.trim();
        if line.starts_with('#') {
            flush(&mut block, &mut sentences);
            set_heading(&mut sentences, finished, &heading);
            finished = sentences.len();
            heading = line.trim_start_matches('#').trim().to_owned();
            continue;
        }
        if line.is_empty() || is_rule(line) {
            flush(&mut block, &mut sentences);
        } else if let Some(item) = markdown::list_item(line) {
            flush(&mut block, &mut sentences);
            block = Block {
                text: item.to_owned(),
                is_item: true,
            };
        } else if line.starts_with('|') {
            flush(&mut block, &mut sentences);
            let cells: Vec<&str> = line
                .split('|')
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect();
            add(&plain(&cells.join(": ")), false, &mut sentences);
        } else {
            if !block.text.is_empty() {
                block.text.push(' ');
            }
            block.text.push_str(line);
        }
    }
    flush(&mut block, &mut sentences);
    set_heading(&mut sentences, finished, &heading);
    sentences
}

/// A passage without the code that it begins with. A passage is cut out of a document, and a fence
/// may have been cut in two: if the passage makes more sense when the first fence in it closes
/// instead of opens, that one and what stands before it is code.
fn without_cut_code(passage: &str) -> &str {
    let mut read = 0;
    for line in passage.split_inclusive('\n') {
        read += line.len();
        if let Some(fence) = Fence::open(line) {
            let rest = passage.get(read..).unwrap_or_default();
            let closes = fence.is_bare() && oddities(rest) < oddities(passage);
            return if closes { rest } else { passage };
        }
    }
    passage
}

/// What would be odd in a text that begins outside code: a fence that never closes, and one that
/// looks as if it opened within another of its kind.
fn oddities(text: &str) -> usize {
    let mut odd = 0;
    let mut fence: Option<Fence> = None;
    for line in text.lines() {
        match &fence {
            None => fence = Fence::open(line),
            Some(open) if open.closed_by(line) => fence = None,
            Some(open) => odd += usize::from(Fence::open(line).is_some_and(|f| open.resembles(&f))),
        }
    }
    odd + usize::from(fence.is_some())
}

fn set_heading(sentences: &mut [Sentence], from: usize, heading: &str) {
    for sentence in sentences.iter_mut().skip(from) {
        sentence.heading = heading.to_owned();
    }
}

/// A line of a table or page that only draws.
fn is_rule(line: &str) -> bool {
    !line.is_empty()
        && line
            .chars()
            .all(|c| matches!(c, '-' | '=' | '|' | ':' | '*' | '_' | ' '))
}

fn flush(block: &mut Block, sentences: &mut Vec<Sentence>) {
    let Block { text, is_item } = std::mem::take(block);
    // First of all, as emphasis may go over several sentences.
    let text = plain(&text);
    if is_item {
        return add(&text, true, sentences);
    }
    let mut start = 0;
    let ends: Vec<(usize, char)> = text
        .char_indices()
        .filter(|(_, c)| matches!(c, '.' | '!' | '?'))
        .collect();
    for (at, mark) in ends {
        let end = at + mark.len_utf8();
        let (before, after) = (text.get(start..end), text.get(end..));
        if let (Some(before), Some(after)) = (before, after)
            && ends_sentence(before, after)
        {
            add(before, false, sentences);
            start = end;
        }
    }
    if let Some(rest) = text.get(start..) {
        add(rest, false, sentences);
    }
}

/// Does a stop between these two end a sentence? Not inside `1.5` or `a.b`, nor after `e.g.`.
fn ends_sentence(before: &str, after: &str) -> bool {
    let mut next = after.chars();
    match next.next() {
        None => return true,
        Some(c) if !c.is_whitespace() => return false,
        Some(_) => {}
    }
    let last_word = super::text::fold(before.split_whitespace().next_back().unwrap_or_default());
    let opens = next
        .find(|c| !c.is_whitespace())
        .is_none_or(|c| !c.is_lowercase());
    opens && !ABBREVIATIONS.contains(&last_word.as_str())
}

fn add(text: &str, list_item: bool, sentences: &mut Vec<Sentence>) {
    let text = text.trim();
    if text.chars().count() < SHORTEST {
        return;
    }
    let opens_list = text.ends_with(':');
    sentences.push(Sentence {
        text: cut(text),
        opens_list,
        list_item,
        heading: String::new(),
    });
}

/// Takes emphasis and link targets off and makes one line of it. Single underscores stay: they are
/// part of names such as `start_date`.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("](") {
        let (before, after) = rest.split_at(at);
        let Some(close) = after.find(')') else { break };
        match before.rfind('[') {
            Some(open) => {
                out.push_str(&before[..open]);
                out.push_str(&before[open + 1..]);
            }
            None => out.push_str(before),
        }
        rest = &after[close + 1..];
    }
    out.push_str(rest);
    let out = markdown::without_emphasis(&out);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((at, _)) => {
            let head = &text[..at];
            format!("{} …", head.rfind(' ').map_or(head, |space| &head[..space]))
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn texts(passage: &str) -> Vec<String> {
        split(passage).into_iter().map(|s| s.text).collect()
    }

    #[rstest]
    #[case("One thing is here. Another thing is there.", &["One thing is here.", "Another thing is there."])]
    #[case("Version 1.5 of the tool, e.g. this one, is used.", &["Version 1.5 of the tool, e.g. this one, is used."])]
    #[case("# Heading of it\n\nA line that\nis wrapped.", &["A line that is wrapped."])]
    #[case("```\nsome code here\n```\nThe text after it.", &["The text after it."])]
    #[case("rm --force everything\n```\nThe text after it.", &["The text after it."])]
    #[case("rm --force everything\n```\nThe text after it.\n```sh\nmore of the code\n```\nThe end of it all.", &["The text after it.", "The end of it all."])]
    #[case("The text before it.\n```sh\nrm --force everything", &["The text before it."])]
    #[case("The text before it.\n```\nsome code here\n```\nThe text after it.", &["The text before it.", "The text after it."])]
    #[case("| name of it | what it means |\n|---|---|\n| alpha one | the first letter |", &["name of it: what it means", "alpha one: the first letter"])]
    #[case("See [the **long** page](https://x/y) for more.", &["See the long page for more."])]
    #[case("¿Qué es esto aquí? Es una prueba corta.", &["¿Qué es esto aquí?", "Es una prueba corta."])]
    #[case("1. An entry that is\n   wrapped. It goes on.\n2. Another entry.\n\nThe text after it.", &["An entry that is wrapped. It goes on.", "Another entry.", "The text after it."])]
    #[case("Short. No", &[])]
    #[case("The text before it.\n~~~\n# a comment of it\n```\n~~~~\nThe text after it.", &["The text before it.", "The text after it."])]
    #[case("````md\n```\nsome code here\n```\n# a comment\n````\nThe text after it.", &["The text after it."])]
    #[case("```\nsome code here\n    ```\n# a comment\n```\nThe text after it.", &["The text after it."])]
    #[case("rm --force everything\n~~~\nThe text after it.", &["The text after it."])]
    #[case("rm --force everything\n```\nThe text after it.\n```sh\nmore of the code", &["The text after it."])]
    #[case("- ```sh\n  rm --force everything\n  ```\n- The entry after it", &["The entry after it"])]
    #[case("**Nothing is lost here. All of it stays.** So it is.", &["Nothing is lost here.", "All of it stays."])]
    #[case("- Set QDRANT__SERVICE__ALT_API_KEY in `src/**/*.rs` or **in __init__**", &["Set QDRANT__SERVICE__ALT_API_KEY in `src/**/*.rs` or in __init__"])]
    #[case("| the **name** of it | `a__b__c` |", &["the name of it: `a__b__c`"])]
    fn splits(#[case] passage: &str, #[case] expected: &[&str]) {
        assert_eq!(texts(passage), expected);
    }

    #[test]
    fn a_sentence_knows_its_heading() {
        let found =
            split("Before any of it.\n# One thing\nThe first of them.\n## Other\n- the second one");
        let headings: Vec<&str> = found.iter().map(|s| s.heading.as_str()).collect();
        assert_eq!(headings, ["", "One thing", "Other"]);
    }

    #[test]
    fn lists_are_marked() {
        let sentences = split("Do the following:\n- first you stop it\n2. then you start it");
        assert!(sentences[0].opens_list);
        assert!(sentences[1].list_item && sentences[2].list_item);
        assert_eq!(sentences[2].text, "then you start it");
    }

    #[test]
    fn a_sentence_without_end_is_cut_at_a_word() {
        let long = "wörd ".repeat(400);
        let sentences = split(&long);
        assert!(sentences[0].text.chars().count() <= LONGEST + 2);
        assert!(sentences[0].text.ends_with("wörd …"));
    }
}
