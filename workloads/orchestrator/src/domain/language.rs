//! Which language to answer in.

use super::text::words;

/// A language that the platform itself speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English; also the answer for everything that is not clearly Spanish.
    English,
    /// Spanish.
    Spanish,
}

impl Language {
    /// Its code, as it is stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    /// The language of a code; English for every other one.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        if code == Self::Spanish.code() {
            Self::Spanish
        } else {
            Self::English
        }
    }
}

/// Frequent Spanish words that are no English words, folded.
const SPANISH: &[&str] = &[
    "al", "como", "con", "cual", "cuales", "cuando", "cuanta", "cuantas", "cuanto", "cuantos",
    "de", "del", "desde", "donde", "el", "en", "entre", "es", "esta", "este", "gracias", "hasta",
    "hay", "hola", "hoy", "la", "las", "los", "mi", "para", "pero", "por", "puedo", "que", "quien",
    "se", "son", "su", "tiene", "un", "una", "y",
];

/// Frequent English words that are no Spanish words, folded.
const ENGLISH: &[&str] = &[
    "a", "and", "are", "can", "do", "does", "for", "from", "has", "hello", "how", "i", "in", "is",
    "it", "many", "my", "of", "please", "that", "the", "there", "this", "to", "what", "when",
    "where", "which", "who", "why", "with", "you", "your",
];

/// Counts the frequent words of both languages; `¿` and `¡` decide alone.
#[must_use]
pub fn detect(text: &str) -> Language {
    if text.contains(['¿', '¡']) {
        return Language::Spanish;
    }
    let words = words(text);
    let count = |list: &[&str]| words.iter().filter(|w| list.contains(&w.as_str())).count();
    if count(SPANISH) > count(ENGLISH) {
        Language::Spanish
    } else {
        Language::English
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("How are credentials stored and rotated?", Language::English)]
    #[case("¿Cómo se guardan las credenciales?", Language::Spanish)]
    #[case("cuantos dias hay entre el lunes y el viernes", Language::Spanish)]
    #[case("Hola", Language::Spanish)]
    #[case("Hello", Language::English)]
    #[case("2026-11-02", Language::English)]
    #[case("", Language::English)]
    fn tells_the_languages_apart(#[case] text: &str, #[case] expected: Language) {
        assert_eq!(detect(text), expected);
    }
}
