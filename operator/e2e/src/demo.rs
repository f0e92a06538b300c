//! The sample questions of `make up`: one that needs knowledge, one a tool, one an agent role.

use lotoai_local::text::Language;

use crate::client::{Answer, PublicClient};
use crate::error::{Result, UnexpectedSnafu};

/// A question that shows one ability of the platform.
pub struct Sample {
    /// The ability, for people.
    pub shows: (&'static str, &'static str),
    /// Model to ask.
    pub model: &'static str,
    /// The question in English and Spanish.
    pub question: (&'static str, &'static str),
    /// The route that the orchestrator must choose.
    pub route: &'static str,
    /// A word that a right answer contains, in English and Spanish; empty = any text.
    pub contains: (&'static str, &'static str),
}

/// The three samples.
pub const SAMPLES: [Sample; 3] = [
    Sample {
        shows: ("knowledge", "conocimiento"),
        model: "lotoai",
        question: (
            "Where does LotoAI keep the password of the first user?",
            "¿Dónde guarda LotoAI la contraseña del primer usuario?",
        ),
        route: "knowledge",
        contains: ("first-user", "first-user"),
    },
    Sample {
        shows: ("a tool", "una herramienta"),
        model: "lotoai",
        question: (
            "How many working days are there between 2026-11-02 and 2026-11-20?",
            "¿Cuántos días laborables hay entre 2026-11-02 y 2026-11-20?",
        ),
        route: "tool",
        contains: ("15", "15"),
    },
    Sample {
        shows: ("an agent role", "un agente"),
        model: "writer",
        question: (
            "Write one sentence that welcomes a new colleague.",
            "Write one sentence that welcomes a new colleague.",
        ),
        route: "agent",
        contains: ("", ""),
    },
];

impl Sample {
    /// Asks the question and checks route, text and, for knowledge, the citation.
    ///
    /// # Errors
    /// When the call fails or the answer is not the one that the sample promises.
    pub async fn ask(&self, client: &PublicClient, language: Language) -> Result<Answer> {
        let question = language.pick(self.question.0, self.question.1);
        let answer = client.ask_streaming(self.model, question, |_| {}).await?;
        let wanted = language.pick(self.contains.0, self.contains.1);
        let problem = if answer.route() != self.route {
            Some(format!(
                "route {:?} instead of {:?}",
                answer.route(),
                self.route
            ))
        } else if answer.text.trim().is_empty() {
            Some("an empty answer".to_owned())
        } else if !answer.text.contains(wanted) {
            Some(format!("{wanted:?} is not in {:?}", answer.text))
        } else if self.route == "knowledge" && answer.cited_documents().is_empty() {
            Some("no citation".to_owned())
        } else {
            None
        };
        match problem {
            None => Ok(answer),
            Some(problem) => UnexpectedSnafu {
                action: format!("ask {question:?}"),
                problem,
            }
            .fail(),
        }
    }
}

/// Why it was answered as it was and how long that took, in two lines for people.
#[must_use]
pub fn about(answer: &Answer, language: Language) -> String {
    let decision = &answer.lotoai["decision"];
    let field = |name: &str| decision[name].as_str().unwrap_or("?");
    let first = answer.first_token.map_or_else(String::new, |first| {
        let words = language.pick("first token after", "primer token a los");
        format!("{words} {:.1} s, ", first.as_secs_f64())
    });
    format!(
        "  {}: {} → {}: {}\n  {first}{} {:.1} s",
        language.pick("decision", "decisión"),
        field("route"),
        field("target"),
        field("reason"),
        language.pick("whole answer after", "respuesta completa a los"),
        answer.total.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_explained_in_both_languages() {
        let mut answer = Answer {
            text: "27".to_owned(),
            lotoai: json!({"decision": {
                "route": "knowledge", "target": "default", "reason": "A passage is close.",
            }}),
            first_token: Some(Duration::from_millis(420)),
            waits: 3,
            total: Duration::from_millis(1300),
        };
        assert_eq!(
            about(&answer, Language::English),
            "  decision: knowledge → default: A passage is close.\n  \
             first token after 0.4 s, whole answer after 1.3 s"
        );
        answer.first_token = None;
        assert_eq!(
            about(&answer, Language::Spanish),
            "  decisión: knowledge → default: A passage is close.\n  \
             respuesta completa a los 1.3 s"
        );
    }
}
