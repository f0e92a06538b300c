//! What the page itself says, in the languages of the web client. What it says about calls comes
//! from the document, which is English.

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Spanish.
    Spanish,
}

impl Language {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::English, Self::Spanish];

    /// Its tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    /// The language of a tag such as `es` or `es-MX`.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        let is_it = |it: &Self| it.tag().eq_ignore_ascii_case(primary);
        Self::ALL.into_iter().find(is_it)
    }

    /// The first known one of an `Accept-Language`, whose order is that of the reader.
    pub fn preferred(accepted: &str) -> Self {
        let mut tags = accepted.split(',').map(|range| {
            let tag = range.split(';').next().unwrap_or_default();
            Self::of_tag(tag.trim())
        });
        tags.find_map(|language| language).unwrap_or(Self::English)
    }

    /// The one that the page offers instead.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::English => Self::Spanish,
            Self::Spanish => Self::English,
        }
    }

    pub(super) const fn texts(self) -> &'static Texts {
        match self {
            Self::English => &ENGLISH,
            Self::Spanish => &SPANISH,
        }
    }
}

/// Words of the page.
pub(super) struct Texts {
    /// Name of the language in itself.
    pub(super) name: &'static str,
    pub(super) api: &'static str,
    pub(super) skip: &'static str,
    pub(super) contents: &'static str,
    pub(super) version: &'static str,
    pub(super) server: &'static str,
    /// Says that what follows is in English, where that is not plain.
    pub(super) english: Option<&'static str>,
    pub(super) needs: &'static str,
    pub(super) access_token: &'static str,
    pub(super) api_key: &'static str,
    pub(super) session: &'static str,
    pub(super) scope: &'static str,
    pub(super) nothing: &'static str,
    pub(super) parameters: &'static str,
    pub(super) body: &'static str,
    pub(super) answers: &'static str,
    pub(super) status: &'static str,
    pub(super) meaning: &'static str,
    pub(super) name_column: &'static str,
    pub(super) place: &'static str,
    pub(super) r#type: &'static str,
    pub(super) required: &'static str,
    pub(super) schemas: &'static str,
    pub(super) fields: &'static str,
    pub(super) list_of: &'static str,
    pub(super) anything: &'static str,
    pub(super) or: &'static str,
    pub(super) and: &'static str,
}

const ENGLISH: Texts = Texts {
    name: "English",
    api: "API",
    skip: "Skip to the calls",
    contents: "Contents",
    version: "Version",
    server: "at",
    english: None,
    needs: "Needs",
    access_token: "access token",
    api_key: "API key",
    session: "browser session",
    scope: "scope",
    nothing: "nothing",
    parameters: "Parameters",
    body: "Body",
    answers: "Answers",
    status: "Status",
    meaning: "Meaning",
    name_column: "Name",
    place: "In",
    r#type: "Type",
    required: "(required)",
    schemas: "Schemas",
    fields: "Fields",
    list_of: "list of",
    anything: "anything",
    or: "or",
    and: "and",
};

const SPANISH: Texts = Texts {
    name: "Español",
    api: "API",
    skip: "Saltar a las llamadas",
    contents: "Contenido",
    version: "Versión",
    server: "en",
    english: Some("Las descripciones de las llamadas están en inglés."),
    needs: "Necesita",
    access_token: "token de acceso",
    api_key: "clave de API",
    session: "sesión del navegador",
    scope: "ámbito",
    nothing: "nada",
    parameters: "Parámetros",
    body: "Cuerpo",
    answers: "Respuestas",
    status: "Estado",
    meaning: "Significado",
    name_column: "Nombre",
    place: "Lugar",
    r#type: "Tipo",
    required: "(obligatorio)",
    schemas: "Esquemas",
    fields: "Campos",
    list_of: "lista de",
    anything: "cualquier valor",
    or: "o",
    and: "y",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("", Language::English)]
    #[case("es", Language::Spanish)]
    #[case("es-MX,es;q=0.9,en;q=0.8", Language::Spanish)]
    #[case("fr-FR, ES;q=0.5, en;q=0.1", Language::Spanish)]
    #[case("en-GB,es", Language::English)]
    #[case("estonian", Language::English)]
    #[case(",;,", Language::English)]
    fn the_reader_chooses(#[case] accepted: &str, #[case] expected: Language) {
        assert_eq!(Language::preferred(accepted), expected);
    }

    #[test]
    fn tags_are_those_of_the_languages() {
        for language in Language::ALL {
            assert_eq!(Language::of_tag(language.tag()), Some(language));
            assert_ne!(language.other(), language);
        }
        assert_eq!(Language::of_tag("fr"), None);
    }
}
