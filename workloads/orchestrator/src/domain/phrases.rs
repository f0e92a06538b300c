//! The sentences that the orchestrator itself says, in both languages.

use serde_json::Value;

use super::{arguments::Missing, language::Language};

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
}
