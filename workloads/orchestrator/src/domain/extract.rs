//! Answers a question with sentences from the passages: nothing is written that is not in a
//! document, so that a platform without a capable model still answers rightly.

use std::collections::HashSet;

use super::{
    language::Language,
    markers,
    sentences::{self, Sentence},
    text,
};

/// At most so many sentences make an answer (an announced list counts as one).
const MOST_SENTENCES: usize = 3;
/// Entries of a list that follow the sentence that announces it.
const MOST_LIST_ITEMS: usize = 6;
/// At most so many sentences are compared with the question; more would cost the model server
/// over half a second on one CPU (about 8 ms each).
const MOST_CANDIDATES: usize = 64;

/// Weight of the similarity of meaning; the rest is shared words. Words alone prefer headings and
/// tables that repeat the question, meaning alone prefers sentences on the same topic that do not
/// answer it.
const MEANING_WEIGHT: f32 = 0.75;
/// Each later passage counts less: retrieval has seen the whole passage, a sentence is a part.
const RANK_PENALTY: f32 = 0.02;
/// Words of the heading above a sentence count this much: a section that is headed by the question
/// answers it.
const HEADING_SHARE: f32 = 0.9;
/// From this length on, in characters, a sentence is near to everything that it mentions.
const LONG_FROM: usize = 200;
/// Taken off for each further 100 characters.
const LENGTH_PENALTY: f32 = 0.05;
/// Taken off a sentence that asks instead of saying.
const QUESTION_PENALTY: f32 = 0.3;
/// A best sentence below this does not answer: measured with all-MiniLM-L6-v2, sentences that
/// answer score 0.4 to 0.8, unrelated ones below 0.2.
pub const SENTENCE_MIN: f32 = 0.28;
/// The same for a Spanish question. The embedding model knows Spanish mostly as "not English", so
/// unrelated Spanish sentences reach 0.36; those that answer 0.50 to 0.84.
pub const SENTENCE_MIN_SPANISH: f32 = 0.42;
/// A further sentence must be at least this share of the best one.
const FURTHER_SHARE: f32 = 0.8;
/// Two sentences more alike than this say the same.
const SAME: f32 = 0.92;

/// A sentence of a passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Index of its passage.
    pub passage: usize,
    /// Index in the passage's sentences.
    pub place: usize,
    /// The sentence.
    pub sentence: Sentence,
}

/// The answer and the passages it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extract {
    /// Text with `[n]` markers.
    pub text: String,
    /// Index of the passage of each number: number 1 is the first entry.
    pub passages: Vec<usize>,
}

/// All sentences that may answer, best passage first.
#[must_use]
pub fn candidates(passages: &[&str]) -> Vec<Candidate> {
    let all = passages.iter().enumerate().flat_map(|(passage, text)| {
        let sentences = sentences::split(text).into_iter().enumerate();
        sentences.map(move |(place, sentence)| Candidate {
            passage,
            place,
            sentence,
        })
    });
    all.take(MOST_CANDIDATES).collect()
}

/// Chooses the sentences that answer. `question` may be given in several readings (as asked, and
/// in English): a sentence is as near as its nearest reading. `vectors` belong to `candidates`.
/// `None` = nothing in the passages answers.
#[must_use]
pub fn choose(
    readings: &[(&str, &[f32])],
    candidates: &[Candidate],
    vectors: &[Vec<f32>],
    language: Language,
) -> Option<Extract> {
    let topics: Vec<_> = readings.iter().map(|(text, _)| text::topic(text)).collect();
    let mut scored: Vec<(usize, f32)> = candidates
        .iter()
        .zip(vectors)
        .map(|(candidate, vector)| score(readings, &topics, candidate, vector))
        .enumerate()
        .collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    let least = match language {
        Language::English => SENTENCE_MIN,
        Language::Spanish => SENTENCE_MIN_SPANISH,
    };
    let (_, best) = *scored.first()?;
    if best < least {
        return None;
    }
    let floor = (best * FURTHER_SHARE).max(least);
    let mut chosen: Vec<usize> = Vec::new();
    for (index, score) in scored {
        let repeats = chosen.iter().any(|&other| similar(vectors, index, other));
        if score >= floor && !repeats && chosen.len() < MOST_SENTENCES {
            chosen.push(index);
        }
    }
    Some(write(candidates, with_lists(candidates, chosen)))
}

/// How well one sentence answers.
fn score(
    readings: &[(&str, &[f32])],
    topics: &[HashSet<String>],
    candidate: &Candidate,
    vector: &[f32],
) -> f32 {
    let sentence = &candidate.sentence;
    let meaning = readings
        .iter()
        .map(|(_, question)| text::cosine(question, vector));
    let headed = format!("{} {}", sentence.heading, sentence.text);
    let words = topics.iter().map(|topic| {
        let under_heading = HEADING_SHARE * text::overlap(topic, &headed);
        text::overlap(topic, &sentence.text).max(under_heading)
    });
    let rank = f32::from(u8::try_from(candidate.passage).unwrap_or(u8::MAX));
    let over = sentence.text.chars().count().saturating_sub(LONG_FROM) / 100;
    let over = f32::from(u8::try_from(over).unwrap_or(u8::MAX));
    // A question in a document is not an answer.
    let question = if sentence.text.ends_with('?') {
        QUESTION_PENALTY
    } else {
        0.0
    };
    MEANING_WEIGHT * meaning.fold(0.0, f32::max)
        + (1.0 - MEANING_WEIGHT) * words.fold(0.0, f32::max)
        - RANK_PENALTY * rank
        - LENGTH_PENALTY * over
        - question
}

fn similar(vectors: &[Vec<f32>], a: usize, b: usize) -> bool {
    match (vectors.get(a), vectors.get(b)) {
        (Some(a), Some(b)) => text::cosine(a, b) > SAME,
        _ => false,
    }
}

/// Adds the entries of a list after the sentence that announces it, and puts all in the order of
/// the documents.
fn with_lists(candidates: &[Candidate], chosen: Vec<usize>) -> Vec<usize> {
    let mut all = chosen.clone();
    for index in chosen {
        if candidates.get(index).is_some_and(|c| c.sentence.opens_list) {
            let passage = candidates.get(index).map(|c| c.passage);
            let items = candidates
                .iter()
                .enumerate()
                .skip(index + 1)
                .take_while(|(_, c)| Some(c.passage) == passage && c.sentence.list_item);
            all.extend(items.take(MOST_LIST_ITEMS).map(|(at, _)| at));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Writes the answer; numbers follow the order in which passages first appear.
fn write(candidates: &[Candidate], chosen: Vec<usize>) -> Extract {
    let mut passages: Vec<usize> = Vec::new();
    let mut text = String::new();
    let chosen: Vec<&Candidate> = chosen.iter().filter_map(|i| candidates.get(*i)).collect();
    for (at, candidate) in chosen.iter().enumerate() {
        let known = passages.iter().position(|p| *p == candidate.passage);
        let number = known.unwrap_or_else(|| {
            passages.push(candidate.passage);
            passages.len() - 1
        }) + 1;
        let listed = candidate.sentence.list_item;
        if at > 0 {
            text.push(if listed || was_list(&chosen, at) {
                '\n'
            } else {
                ' '
            });
        }
        if listed && chosen.len() > 1 {
            text.push_str("- ");
        }
        text.push_str(&markers::quoted(&candidate.sentence.text));
        // One marker after the last of several sentences from one passage.
        let next_same = chosen
            .get(at + 1)
            .is_some_and(|n| n.passage == candidate.passage);
        if !next_same {
            text.push_str(&format!(" [{number}]"));
        }
    }
    Extract { text, passages }
}

fn was_list(chosen: &[&Candidate], at: usize) -> bool {
    at.checked_sub(1)
        .and_then(|before| chosen.get(before))
        .is_some_and(|c| c.sentence.list_item)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vector that has `share` with the question's `[1, 0]`.
    fn near(share: f32) -> Vec<f32> {
        vec![share, (1.0 - share * share).sqrt()]
    }

    const QUESTION: (&str, &[f32]) = ("Where are credentials stored?", &[1.0, 0.0]);

    #[test]
    fn the_best_sentence_is_cited_by_number() {
        let passages = [
            "Pods start in order. They stop together.",
            "Credentials are stored in Secrets.",
        ];
        let candidates = candidates(&passages);
        let vectors = [near(0.1), near(0.1), near(0.7)];
        let extract = choose(&[QUESTION], &candidates, &vectors, Language::English).unwrap();
        assert_eq!(extract.text, "Credentials are stored in Secrets. [1]");
        assert_eq!(extract.passages, [1]);
    }

    #[test]
    fn good_sentences_of_two_passages_keep_the_order_of_the_documents() {
        let passages = [
            "Credentials are stored in Secrets.",
            "Every edge has credentials of its own, stored apart.",
        ];
        let candidates = candidates(&passages);
        let vectors = [near(0.70), vec![0.72, -(1.0_f32 - 0.72 * 0.72).sqrt()]];
        let extract = choose(&[QUESTION], &candidates, &vectors, Language::English).unwrap();
        assert_eq!(
            extract.text,
            "Credentials are stored in Secrets. [1] Every edge has credentials of its own, stored apart. [2]"
        );
    }

    #[test]
    fn a_footnote_of_the_document_is_no_citation() {
        let candidates =
            candidates(&["Credentials are stored in Secrets [2], `env[1]` first [3]."]);
        let extract = choose(&[QUESTION], &candidates, &[near(0.7)], Language::English).unwrap();
        assert_eq!(
            extract.text,
            "Credentials are stored in Secrets (2), `env[1]` first (3). [1]"
        );
    }

    #[test]
    fn an_announced_list_comes_along() {
        let passages = [
            "Credentials are stored in:\n- Secrets of Kubernetes\n- a vault of your own\n\nOther text of it.",
        ];
        let candidates = candidates(&passages);
        let vectors = [near(0.8), near(0.1), near(0.1), near(0.1)];
        let extract = choose(&[QUESTION], &candidates, &vectors, Language::English).unwrap();
        assert_eq!(
            extract.text,
            "Credentials are stored in:\n- Secrets of Kubernetes\n- a vault of your own [1]"
        );
    }

    #[test]
    fn nothing_near_is_no_answer() {
        let candidates = candidates(&["The sea is blue and very deep."]);
        assert_eq!(
            choose(&[QUESTION], &candidates, &[near(0.15)], Language::English),
            None
        );
        assert_eq!(choose(&[QUESTION], &[], &[], Language::English), None);
    }

    #[test]
    fn the_same_thing_twice_is_said_once() {
        let candidates = candidates(&[
            "Credentials are stored in Secrets.",
            "Credentials are stored in Secrets.",
        ]);
        let extract = choose(
            &[QUESTION],
            &candidates,
            &[near(0.7), near(0.7)],
            Language::English,
        )
        .unwrap();
        assert_eq!(extract.passages, [0]);
    }
}
