//! A conversation as Markdown, for people.

use std::fmt::Write as _;

use serde_json::Value;

use crate::store::{ConversationSummary, StoredMessage};

/// What stands before the messages.
pub(super) fn head(conversation: &ConversationSummary) -> String {
    let mut text = format!(
        "# {}\n\n{} – {}\n",
        conversation.title, conversation.created_at, conversation.updated_at
    );
    if let Some(origin) = &conversation.branched_from {
        // Writing to a String never fails.
        _ = writeln!(text, "\n↳ {}", origin.conversation_id);
    }
    text
}

/// A message: who said it, when and how it came about, what was said, what it rests on.
pub(super) fn message(message: &StoredMessage) -> String {
    let mut text = format!("\n## {} · {}", message.role, message.created_at);
    if let Some(model) = &message.model {
        _ = write!(text, " · {model}");
    }
    if let Some(outcome) = message.outcome.as_deref().filter(|it| *it != "ok") {
        _ = write!(text, " · {outcome}");
    }
    text.push('\n');
    if let Some(decision) = &message.decision {
        _ = writeln!(
            text,
            "\n*{}: {} – {}*",
            decision.route, decision.target, decision.reason
        );
    }
    if !message.content.is_empty() {
        _ = writeln!(text, "\n{}", message.content.trim_end());
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for (index, citation) in list(&message.citations).iter().enumerate() {
        let line = line(&[&citation["document_name"], &citation["heading"]]);
        let number = &citation["number"];
        let gap = if index == 0 { "\n" } else { "" };
        _ = writeln!(text, "{gap}- [{number}] {line}");
    }
    for call in list(&message.tool_calls) {
        let (name, result) = (line(&[&call["name"]]), line(&[&call["result"]]));
        _ = writeln!(text, "\n`{name}({})` → {result}", call["arguments"]);
    }
    text
}

/// Texts on one line; those that are empty are left out.
fn line(texts: &[&Value]) -> String {
    let texts = texts.iter().filter_map(|text| text.as_str());
    let texts: Vec<_> = texts.filter(|text| !text.is_empty()).collect();
    texts.join(" – ").replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::store::{Origin, StoredDecision};

    #[test]
    fn a_conversation_can_be_read() {
        let conversation = ConversationSummary {
            id: Uuid::nil(),
            title: "¿Cuántos?".to_owned(),
            created_at: "2026-11-26T10:00:00.000Z".to_owned(),
            updated_at: "2026-11-26T10:01:00.000Z".to_owned(),
            branched_from: Some(Origin {
                conversation_id: Uuid::nil(),
                message_id: Uuid::nil(),
            }),
            updated_micros: 0,
        };
        assert_eq!(
            head(&conversation),
            "# ¿Cuántos?\n\n2026-11-26T10:00:00.000Z – 2026-11-26T10:01:00.000Z\n\n\
             ↳ 00000000-0000-0000-0000-000000000000\n"
        );
        let answer = StoredMessage {
            function_calls: Vec::new(),
            function_call_id: None,
            id: Uuid::nil(),
            role: "assistant".to_owned(),
            content: "Veintitrés días [1].\n".to_owned(),
            run_id: None,
            outcome: Some("cancelled".to_owned()),
            model: Some("m".to_owned()),
            decision: Some(StoredDecision {
                route: "knowledge".to_owned(),
                target: "default".to_owned(),
                reason: "the handbook answers it".to_owned(),
                confidence: 1.0,
            }),
            citations: json!([{ "number": 1, "document_name": "handbook.md", "heading": "Holi\ndays" }]),
            tool_calls: json!([{ "name": "count", "arguments": {"a": 1}, "result": "23\n" }]),
            approvals: json!([]),
            created_at: "2026-11-26T10:00:30.000Z".to_owned(),
        };
        assert_eq!(
            message(&answer),
            "\n## assistant · 2026-11-26T10:00:30.000Z · m · cancelled\n\n\
             *knowledge: default – the handbook answers it*\n\n\
             Veintitrés días [1].\n\n\
             - [1] handbook.md – Holi days\n\n\
             `count({\"a\":1})` → 23 \n"
        );
    }
}
