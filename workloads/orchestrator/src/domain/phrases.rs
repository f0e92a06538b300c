//! The sentences that the orchestrator itself says, in both languages.

use serde_json::Value;

use super::{approval::HOURS_TO_DECIDE, arguments::Missing, language::Language};

/// Nothing in the documents answers.
#[must_use]
pub fn nothing_found(language: Language) -> String {
    match language {
        Language::English => {
            "I found nothing about this in the documents that you may read. Upload a document \
             that covers it, or ask in other words."
        }
        Language::Spanish => {
            "No he encontrado nada sobre esto en los documentos que puedes leer. Sube un \
             documento que lo trate o pregúntalo con otras palabras."
        }
    }
    .to_owned()
}

/// A tool needs more. The tool's name in backticks is how a follow-up is recognised.
#[must_use]
pub fn need_arguments(language: Language, tool: &str, missing: &[Missing]) -> String {
    let list: Vec<String> = missing
        .iter()
        .map(|m| match m.description.trim().trim_end_matches('.') {
            "" => format!("`{}`", m.name),
            description => format!("`{}` ({description})", m.name),
        })
        .collect();
    let list = list.join(", ");
    match language {
        Language::English => format!("{} `{tool}`: {list}.", needs(language)),
        Language::Spanish => format!("{} `{tool}`: {list}.", needs(language)),
    }
}

/// How [`need_arguments`] begins.
#[must_use]
pub fn needs(language: Language) -> &'static str {
    match language {
        Language::English => "Please give me what is missing for the tool",
        Language::Spanish => "Dime, por favor, lo que falta para la herramienta",
    }
}

/// A tool answered.
#[must_use]
pub fn tool_result(language: Language, tool: &str, text: &str) -> String {
    let text = readable(text);
    if text.is_empty() {
        return match language {
            Language::English => format!("The tool `{tool}` did its work and returned no text."),
            Language::Spanish => {
                format!("La herramienta `{tool}` ha terminado y no ha devuelto texto.")
            }
        };
    }
    // What is a sentence already needs no introduction.
    let is_sentence = text.split_whitespace().count() >= 4 && text.ends_with(['.', '!', '?']);
    match language {
        _ if is_sentence => text,
        Language::English => format!("The tool `{tool}` answers: {text}"),
        Language::Spanish => format!("La herramienta `{tool}` responde: {text}"),
    }
}

/// A tool said that it cannot.
#[must_use]
pub fn tool_error(language: Language, tool: &str, text: &str) -> String {
    let text = readable(text);
    match language {
        Language::English => format!("The tool `{tool}` could not answer: {text}"),
        Language::Spanish => format!("La herramienta `{tool}` no ha podido responder: {text}"),
    }
}

/// A tool is called with the consent of the person only. `arguments_json` is an object.
#[must_use]
pub fn needs_consent(language: Language, tool: &str, arguments_json: &str) -> String {
    let arguments = readable(arguments_json);
    let with = match (language, arguments.is_empty()) {
        (Language::English, true) => "without arguments".to_owned(),
        (Language::Spanish, true) => "sin argumentos".to_owned(),
        (Language::English, false) => format!("with {arguments}"),
        (Language::Spanish, false) => format!("con {arguments}"),
    };
    match language {
        Language::English => format!(
            "The tool `{tool}` is called with your consent only. It would be called {with}. \
             Approve or refuse it within {HOURS_TO_DECIDE} hours."
        ),
        Language::Spanish => format!(
            "La herramienta `{tool}` solo se ejecuta con tu consentimiento. Se ejecutaría {with}. \
             Apruébalo o recházalo en las próximas {HOURS_TO_DECIDE} horas."
        ),
    }
}

/// The person refused the call.
#[must_use]
pub fn refused(language: Language, tool: &str) -> String {
    match language {
        Language::English => format!("You refused: the tool `{tool}` was not called."),
        Language::Spanish => {
            format!("Lo has rechazado: la herramienta `{tool}` no se ha ejecutado.")
        }
    }
}

/// A call was begun, and nobody knows how it ended. It is not made again.
#[must_use]
pub fn broken_off(language: Language, tool: &str) -> String {
    match language {
        Language::English => format!(
            "It is not known whether the tool `{tool}` did its work: its answer did not come. It \
             is not called again by itself. See what it has changed before you ask for it again."
        ),
        Language::Spanish => format!(
            "No se sabe si la herramienta `{tool}` ha hecho su trabajo: su respuesta no ha \
             llegado. No se vuelve a ejecutar por sí sola. Comprueba qué ha cambiado antes de \
             volver a pedirlo."
        ),
    }
}

/// No attempt at an approved call came to the tool.
#[must_use]
pub fn not_made(language: Language, tool: &str) -> String {
    match language {
        Language::English => format!(
            "The tool `{tool}` was not called: its server could not be reached. Nothing has \
             changed. Ask for it again in a moment."
        ),
        Language::Spanish => format!(
            "La herramienta `{tool}` no se ha ejecutado: no se ha podido contactar con su \
             servidor. No ha cambiado nada. Vuelve a pedirlo dentro de un momento."
        ),
    }
}

/// JSON objects become `name: value, …`; other text stays.
fn readable(text: &str) -> String {
    let text = text.trim();
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => flat(&value),
        _ => text.to_owned(),
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let parts: Vec<String> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| format!("{}: {}", name.replace('_', " "), nested(value)))
                .collect();
            parts.join(", ")
        }
        Value::Array(entries) => entries.iter().map(nested).collect::<Vec<_>>().join("; "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn nested(value: &Value) -> String {
    match value {
        Value::Object(_) => format!("({})", flat(value)),
        other => flat(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_gets_a_sentence_and_a_sentence_stays() {
        let said = tool_result(Language::Spanish, "working_days", " 15 ");
        assert_eq!(said, "La herramienta `working_days` responde: 15");
        let said = tool_result(Language::English, "t", "There are 15 working days.");
        assert_eq!(said, "There are 15 working days.");
        assert!(tool_result(Language::English, "t", "").contains("no text"));
    }

    #[test]
    fn json_is_read_out() {
        let text = r#"{"requests": 12, "tokens": {"input_tokens": 3}, "none": null}"#;
        let said = tool_result(Language::English, "usage", text);
        assert_eq!(
            said,
            "The tool `usage` answers: requests: 12, tokens: (input tokens: 3)"
        );
    }

    #[test]
    fn missing_arguments_are_named() {
        let missing = [Missing {
            name: "end_date".into(),
            description: "Last day.".into(),
        }];
        let said = need_arguments(Language::English, "working_days", &missing);
        assert!(
            said.contains("`working_days`: `end_date` (Last day)."),
            "{said}"
        );
    }

    #[test]
    fn a_consent_is_asked_for_with_the_arguments() {
        let arguments = r#"{"end_date":"2026-11-20","start_date":"2026-11-02"}"#;
        let said = needs_consent(Language::English, "book", arguments);
        assert!(
            said.contains("`book`") && said.contains("with end date: 2026-11-20, start date: "),
            "{said}"
        );
        assert!(said.ends_with("within 24 hours."), "{said}");
        let said = needs_consent(Language::Spanish, "book", "{}");
        assert!(said.contains("sin argumentos") && said.contains("24 horas"));
        for language in [Language::English, Language::Spanish] {
            let said = needs_consent(language, "book", "{}");
            assert!(
                !said.starts_with(needs(language)),
                "it asks for no argument"
            );
        }
    }
}
