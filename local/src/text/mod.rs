//! What people read, in English and Spanish.
//!
//! A catalogue is a list in [`texts!`](crate::texts): both languages of a text stand side by side,
//! and one without the other, or with other values in it, does not compile. Errors of programs
//! underneath stay as they are.

pub(crate) mod messages;

use std::sync::OnceLock;

static CURRENT: OnceLock<Language> = OnceLock::new();

/// A language of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English, the default.
    English,
    /// Spanish.
    Spanish,
}

impl Language {
    /// The language that `LOTOAI_LANG`, `LC_ALL`, `LC_MESSAGES` or `LANG` asks for; the first that
    /// is set counts.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = ["LOTOAI_LANG", "LC_ALL", "LC_MESSAGES", "LANG"];
        let asked = names
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        Self::from_tag(asked.as_deref().unwrap_or_default())
    }

    fn from_tag(tag: &str) -> Self {
        if tag.to_ascii_lowercase().starts_with("es") {
            Self::Spanish
        } else {
            Self::English
        }
    }

    /// Makes it the language of this process. A program for people calls it first; without it all
    /// is English.
    pub fn speak(self) {
        // Said twice, the first counts: a program does not change its language on the way.
        let _ = CURRENT.set(self);
    }

    /// The language of this process.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.get().copied().unwrap_or(Self::English)
    }

    /// `english` or `spanish`, whichever this is.
    #[must_use]
    pub fn pick<'a>(self, english: &'a str, spanish: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Spanish => spanish,
        }
    }
}

/// Declares functions that say something in the language of the process:
/// `name(values) { "English {values}" "Español {values}" }`.
#[macro_export]
macro_rules! texts {
    ($($name:ident($($value:ident),*) { $english:literal $spanish:literal })*) => {
        $(
            pub(crate) fn $name($($value: impl ::std::fmt::Display),*) -> String {
                const { assert!($crate::text::agree($english, $spanish), stringify!($name)) };
                match $crate::text::Language::current() {
                    $crate::text::Language::English => format!($english),
                    $crate::text::Language::Spanish => format!($spanish),
                }
            }
        )*
    };
}

/// Whether two format strings have the same values in them, in any order.
#[must_use]
pub const fn agree(one: &str, other: &str) -> bool {
    has_values_of(one.as_bytes(), other.as_bytes())
        && has_values_of(other.as_bytes(), one.as_bytes())
}

/// Whether everything between braces in `from` is in `within` as well.
const fn has_values_of(within: &[u8], from: &[u8]) -> bool {
    let mut at = 0;
    while at < from.len() {
        if from[at] == b'{' {
            let mut end = at;
            while end < from.len() && from[end] != b'}' {
                end += 1;
            }
            if !has(within, from, at, end) {
                return false;
            }
            at = end;
        }
        at += 1;
    }
    true
}

/// Whether `from[at..end]` and a brace are somewhere in `within`.
const fn has(within: &[u8], from: &[u8], at: usize, end: usize) -> bool {
    let length = end - at;
    let mut start = 0;
    while start + length < within.len() {
        let mut same = 0;
        while same < length && within[start + same] == from[at + same] {
            same += 1;
        }
        if same == length && within[start + length] == b'}' {
            return true;
        }
        start += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spanish_is_chosen_by_tag() {
        assert_eq!(Language::from_tag("es_ES.UTF-8"), Language::Spanish);
        assert_eq!(Language::from_tag("ES"), Language::Spanish);
        assert_eq!(Language::from_tag("en_GB"), Language::English);
        assert_eq!(Language::from_tag("C"), Language::English);
        assert_eq!(Language::from_tag(""), Language::English);
    }

    #[test]
    fn both_languages_must_hold_the_same_values() {
        assert!(agree("no value", "ningún valor"));
        assert!(agree("{a} of {b:.1} s", "de {b:.1} s, {a}"));
        assert!(!agree("{a} and {b}", "{a}"));
        assert!(!agree("{a}", "{a} y {b}"));
        assert!(!agree("{ab}", "{a}"));
        assert!(!agree("{a:.1}", "{a}"));
        // Braces that are not values count as well: a command must be the same in both.
        assert!(agree("run '{{.x}}'", "ejecuta '{{.x}}'"));
        assert!(!agree("run '{{.x}}'", "ejecuta '{{.y}}'"));
    }

    #[test]
    fn libraries_and_tests_speak_english() {
        assert_eq!(Language::current(), Language::English);
        assert_eq!(messages::still_builds("etcd"), "still builds etcd");
    }
}
