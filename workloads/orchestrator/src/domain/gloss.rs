//! A word-by-word reading of a Spanish question in English.
//!
//! The embedding model was trained on English: measured with all-MiniLM-L6-v2, "¿Cuántas
//! peticiones ha servido la plataforma hoy?" has 0.06 with the tool that answers it, and its
//! gloss has more than 0.6. The glossary covers what people ask a platform about; words that it
//! does not know stay as they are. It is used to find things, never to answer.

use std::{collections::HashMap, sync::LazyLock};

use super::text::fold;

const GLOSSARY: &str = include_str!("gloss_es.txt");
/// The longest phrase of the glossary, in words.
const LONGEST: usize = 3;

static ENTRIES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    GLOSSARY
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect()
});

/// The question with every known word or phrase in English; punctuation goes, numbers stay.
#[must_use]
pub fn english(question: &str) -> String {
    let folded = fold(question);
    let tokens: Vec<&str> = folded
        .split(|c: char| c.is_whitespace() || matches!(c, '¿' | '?' | '¡' | '!' | ',' | ';' | ':'))
        .map(|token| token.trim_matches('.'))
        .filter(|token| !token.is_empty())
        .collect();
    let mut out: Vec<&str> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let longest = LONGEST.min(tokens.len() - at);
        let found = (1..=longest).rev().find_map(|length| {
            let phrase = tokens.get(at..at + length)?.join(" ");
            ENTRIES
                .get(phrase.as_str())
                .map(|english| (length, *english))
        });
        match found {
            Some((length, english)) => {
                out.push(english);
                at += length;
            }
            None => {
                out.extend(tokens.get(at));
                at += 1;
            }
        }
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_win_over_words_and_the_unknown_stays() {
        assert_eq!(
            english("¿Cuántos días laborables hay entre 2026-11-02 y 2026-11-20?"),
            "how many working days are there between 2026-11-02 and 2026-11-20"
        );
        assert_eq!(english("Kubernetes"), "kubernetes");
    }

    #[test]
    fn every_line_of_the_glossary_is_usable() {
        for line in GLOSSARY.lines().filter(|line| !line.starts_with('#')) {
            let (spanish, english) = line.split_once('=').unwrap();
            assert_eq!(spanish, fold(spanish), "folded");
            assert!(
                !english.is_empty() && spanish.split(' ').count() <= LONGEST,
                "{line}"
            );
        }
    }
}
