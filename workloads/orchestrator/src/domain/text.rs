//! Words, overlap and similarity.

use std::collections::HashSet;

use regex::Regex;

/// Compiles a pattern that is written in this crate.
#[expect(
    clippy::expect_used,
    reason = "the patterns are literals; every one is used in a test"
)]
pub(crate) fn pattern(literal: &'static str) -> Regex {
    Regex::new(literal).expect("a literal pattern compiles")
}

/// Lower case without accents, so that `Cuántos` and `cuantos` are one word.
#[must_use]
pub fn fold(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'á' | 'à' | 'ä' | 'â' => 'a',
            'é' | 'è' | 'ë' | 'ê' => 'e',
            'í' | 'ì' | 'ï' | 'î' => 'i',
            'ó' | 'ò' | 'ö' | 'ô' => 'o',
            'ú' | 'ù' | 'ü' | 'û' => 'u',
            'ñ' => 'n',
            'ç' => 'c',
            other => other,
        })
        .collect()
}

/// The folded words of a text, in order.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    fold(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Words that say nothing about the topic, English and Spanish, folded.
const STOP_WORDS: &[&str] = &[
    "a", "about", "al", "an", "and", "are", "as", "at", "be", "been", "by", "can", "como", "con",
    "cual", "cuales", "cuando", "cuanta", "cuantas", "cuanto", "cuantos", "de", "del", "did", "do",
    "does", "donde", "e", "el", "en", "es", "esta", "estan", "este", "esto", "for", "from", "ha",
    "han", "has", "hasta", "have", "hay", "how", "i", "if", "in", "is", "it", "its", "la", "las",
    "lo", "los", "many", "me", "mi", "much", "my", "no", "o", "of", "on", "or", "para", "pero",
    "por", "porque", "puedo", "que", "quien", "s", "se", "ser", "should", "si", "son", "su", "sus",
    "tell", "that", "the", "their", "there", "they", "this", "to", "tu", "u", "un", "una", "was",
    "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "y", "you",
    "your",
];

/// The topic words of a text: no stop words, cut to a stem.
#[must_use]
pub fn topic(text: &str) -> HashSet<String> {
    words(text)
        .into_iter()
        .filter(|word| !STOP_WORDS.contains(&word.as_str()))
        .map(|word| stem(&word))
        .collect()
}

/// A rough stem: endings that English and Spanish put on one and the same word.
fn stem(word: &str) -> String {
    const ENDINGS: &[&str] = &[
        "aciones", "acion", "ations", "ation", "ando", "ing", "ies", "ied", "ado", "ada", "es",
        "ed", "s", "e", "y",
    ];
    for ending in ENDINGS {
        if let Some(rest) = word.strip_suffix(ending)
            && rest.chars().count() >= 4
        {
            return rest.to_owned();
        }
    }
    word.to_owned()
}

/// Which share of the question's topic words is in the text, 0 to 1.
#[must_use]
pub fn overlap(question: &HashSet<String>, text: &str) -> f32 {
    if question.is_empty() {
        return 0.0;
    }
    let text = topic(text);
    let shared = question.iter().filter(|word| text.contains(*word)).count();
    ratio(shared, question.len())
}

/// `part / whole` for small counts; 0 when there is no whole.
#[must_use]
pub fn ratio(part: usize, whole: usize) -> f32 {
    let small = |n: usize| f32::from(u16::try_from(n).unwrap_or(u16::MAX));
    if whole == 0 {
        0.0
    } else {
        small(part) / small(whole)
    }
}

/// Cosine similarity, -1 to 1; 0 when the lengths differ or a vector is zero.
#[must_use]
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let scale = norm(a) * norm(b);
    if scale > 0.0 { dot / scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_words_meet_across_endings_and_accents() {
        assert_eq!(
            topic("How are credentials rotated?"),
            topic("rotating a credential")
        );
        assert_eq!(topic("¿Cuántos días?"), topic("dias"));
    }

    #[test]
    fn overlap_is_the_share_of_the_question() {
        let question = topic("Where are backups stored?");
        assert!((overlap(&question, "Backups are stored in S3.") - 1.0).abs() < 1e-6);
        assert!((overlap(&question, "A backup runs nightly.") - 0.5).abs() < 1e-6);
        assert!(overlap(&topic("the of"), "the of").abs() < 1e-6);
    }

    #[test]
    fn cosine_of_odd_input_is_zero() {
        assert!((cosine(&[1.0, 0.0], &[2.0, 0.0]) - 1.0).abs() < 1e-6);
        assert!(cosine(&[1.0], &[1.0, 2.0]).abs() < 1e-6);
        assert!(cosine(&[0.0], &[1.0]).abs() < 1e-6);
    }
}
