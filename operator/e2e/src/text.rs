//! What the demonstration says, in English and Spanish.

/// A language of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English, the default.
    English,
    /// Spanish, when `LANG`, `LC_ALL` or `LOTOAI_LANG` begins with `es`.
    Spanish,
}

impl Language {
    /// The language that the environment asks for.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = ["LOTOAI_LANG", "LC_ALL", "LANG"];
        let asked = names
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        Self::from_tag(asked.as_deref().unwrap_or_default())
    }

    fn from_tag(tag: &str) -> Self {
        if tag.to_ascii_lowercase().starts_with("es") {
            Self::Spanish
        } else {
            Self::English
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spanish_is_chosen_by_tag() {
        assert_eq!(Language::from_tag("es_ES.UTF-8"), Language::Spanish);
        assert_eq!(Language::from_tag("en_GB"), Language::English);
        assert_eq!(Language::from_tag("C"), Language::English);
    }
}
