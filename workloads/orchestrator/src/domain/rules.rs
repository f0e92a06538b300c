//! Cheap rules on the words of a request, English and Spanish. They decide what needs no vectors
//! and tell the router what kind of request it is.

use std::sync::LazyLock;

use regex::Regex;

use super::text::{fold, pattern, words};

/// What kind of request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Asks for a number: "how many", "cuántos".
    Quantity,
    /// Asks for an explanation: "how do I", "where", "why".
    Explanation,
    /// Any other question.
    Question,
    /// Asks for new text: "write", "traduce".
    Creation,
    /// A greeting or thanks.
    Greeting,
    /// Anything else.
    Statement,
}

impl Form {
    /// Does it ask for a fact, so that an invented answer would be worse than none?
    #[must_use]
    pub fn asks(self) -> bool {
        matches!(self, Self::Quantity | Self::Explanation | Self::Question)
    }
}

static ASK_ROLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s*(?:@|(?:please |por favor,? )?(?:ask|tell|let|use|pregunta(?:le)?|pide(?:le)?|dile|usa)(?: (?:to|al?|el|la|the|agent|agente))* )([a-z0-9][a-z0-9-]*)\s*(?:[:,]|\b(?:to|for|if|about|que|si|por|sobre)\b)?\s*",
    )
});

static QUANTITY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\b(how many|how much|count|number of|total|cuant[oa]s?|numero de|cuenta)\b")
});
static EXPLANATION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\W*(how (?:is|are|do|does|did|can|could|should|would|to)|why|where|who|como|por que|donde|quien(?:es)?|explain|explica(?:me)?|describe)\b",
    )
});
static QUESTION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\W*(what|which|when|whose|is|are|was|were|do|does|did|can|could|should|will|has|have|que|cual(?:es)?|cuando|cada cuanto|es|son|hay|puedo|puede|tiene)\b|\?\s*$",
    )
});
static CREATION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\W*(?:please |por favor,? |can you |could you |puedes )?(write|rewrite|rephrase|compose|draft|translate|invent|imagine|brainstorm|correct|proofread|summari[sz]e (?:the following|this)|tell me a (?:joke|story)|escrib[ea](?:me)?|reescrib[ea]|redacta|traduc[ei]|traduce|inventa|imagina|corrige|compon|resume (?:el siguiente|este)|cuentame un)\b",
    )
});
static GREETING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\W*(hello|hi|hey|good (?:morning|afternoon|evening)|thanks?|thank you|bye|hola|buenos dias|buenas (?:tardes|noches)|gracias|adios)\b",
    )
});

/// A role is named within as many characters: what follows may be long, and is not read for it.
const MAX_NAMING_CHARS: usize = 512;
/// A greeting with more words than this asks for something as well.
const GREETING_WORDS: usize = 6;

/// What kind of request `text` is.
#[must_use]
pub fn form(text: &str) -> Form {
    let folded = fold(text);
    if GREETING.is_match(&folded) && words(text).len() <= GREETING_WORDS {
        Form::Greeting
    } else if CREATION.is_match(&folded) {
        Form::Creation
    } else if EXPLANATION.is_match(&folded) {
        Form::Explanation
    } else if QUANTITY.is_match(&folded) {
        Form::Quantity
    } else if QUESTION.is_match(&folded) {
        Form::Question
    } else {
        Form::Statement
    }
}

/// "Ask the writer: …" → the role and what is asked of it, to its last word. Only names in `roles`
/// count.
#[must_use]
pub fn asked_role<'a, 't>(text: &'t str, roles: &[&'a str]) -> Option<(&'a str, &'t str)> {
    let text = text.trim();
    let beginning: String = text.chars().take(MAX_NAMING_CHARS).collect();
    let folded = fold(&beginning);
    let captures = ASK_ROLE.captures(&folded)?;
    let role = roles.iter().find(|role| **role == &captures[1])?;
    // Folding turns each letter into one letter, so positions agree by characters.
    let named = folded[..captures.get(0)?.end()].chars().count();
    let rest = text.char_indices().nth(named);
    let rest = rest.map_or("", |(at, _)| text[at..].trim_start());
    Some((role, if rest.is_empty() { text } else { rest }))
}

/// A tool that the text calls by its name. Names of one plain word count only in backticks or
/// after "tool", so that `search` in a sentence is no call.
#[must_use]
pub fn named_tool<'a>(text: &str, tools: &[&'a str]) -> Option<&'a str> {
    let folded = fold(text);
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    tools.iter().copied().find(|tool| {
        let name = fold(tool);
        let quoted = folded.contains(&format!("`{name}`"));
        let introduced = ["tool ", "herramienta "]
            .iter()
            .any(|word| folded.contains(&format!("{word}{name}")));
        let whole = folded.match_indices(&name).any(|(at, _)| {
            let before = folded[..at].chars().next_back().is_none_or(|c| !is_name(c));
            let after = folded[at + name.len()..].chars().next();
            before && after.is_none_or(|c| !is_name(c) || c == '.')
        });
        quoted || introduced || (name.contains(['_', '-', '.']) && whole)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Ask the writer: a poem about autumn", Some(("writer", "a poem about autumn")))]
    #[case("ask writer to greet Ana", Some(("writer", "greet Ana")))]
    #[case("Pregunta al writer: ¿qué es un haiku?", Some(("writer", "¿qué es un haiku?")))]
    #[case("Pídele a writer que escriba un poema", Some(("writer", "escriba un poema")))]
    #[case("@writer hello", Some(("writer", "hello")))]
    #[case("Ask the stranger: hello", None)]
    #[case("The writer of the book is unknown", None)]
    #[case("Tell me about the writer", None)]
    fn a_role_that_is_asked(#[case] text: &str, #[case] expected: Option<(&str, &str)>) {
        let found = asked_role(text, &["assistant", "writer"]);
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("@writer ")]
    #[case("  Pídele a writer que\n")]
    fn what_is_asked_of_a_role_is_not_cut(#[case] naming: &str) {
        let asked = format!("{}the last word", "año ".repeat(MAX_NAMING_CHARS));
        let text = format!("{naming}{asked}");
        assert_eq!(asked_role(&text, &["writer"]), Some(("writer", &*asked)));
    }

    #[rstest]
    #[case("run working_days for November", Some("working_days"))]
    #[case("Use the tool search: cats", Some("search"))]
    #[case("call `search` please", Some("search"))]
    #[case("I search for cats", None)]
    #[case("my_working_days", None)]
    fn a_tool_that_is_named(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(named_tool(text, &["working_days", "search"]), expected);
    }

    #[rstest]
    #[case("How many requests today?", Form::Quantity)]
    #[case("¿Cuántos días hay?", Form::Quantity)]
    #[case("How are credentials stored?", Form::Explanation)]
    #[case("¿Dónde se guardan?", Form::Explanation)]
    #[case("What is a run?", Form::Question)]
    #[case("¿Qué es un run?", Form::Question)]
    #[case("The platform is ready?", Form::Question)]
    #[case("Write a poem", Form::Creation)]
    #[case("Por favor, escribe un correo", Form::Creation)]
    #[case("Hola, ¿qué tal?", Form::Greeting)]
    #[case(
        "Hello, how do I install the platform on my own cluster?",
        Form::Question
    )]
    #[case("Backups", Form::Statement)]
    fn forms(#[case] text: &str, #[case] expected: Form) {
        assert_eq!(form(text), expected);
    }
}
