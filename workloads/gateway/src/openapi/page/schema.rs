//! Schemas in words.

use serde_json::{Map, Value};

use super::html::{escape, inline};
use super::language::Texts;
use super::text;

/// A schema in a few words; other schemas as links.
pub(super) fn of(schema: &Value, texts: &Texts) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = escape(reference.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for (keyword, joint) in [
        ("oneOf", texts.or),
        ("anyOf", texts.or),
        ("allOf", texts.and),
    ] {
        if let Some(parts) = schema[keyword].as_array() {
            return joined(parts.iter().map(|part| of(part, texts)), joint);
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        let values = values
            .iter()
            .map(|value| format!("<code>{}</code>", escape(text(value))));
        return joined(values, texts.or);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().map(text).collect(),
        one => vec![text(one)],
    };
    let types = types.into_iter().map(|name| match name {
        "array" => format!("{} {}", texts.list_of, of(&schema["items"], texts)),
        "" => texts.anything.to_owned(),
        name => escape(name),
    });
    let mut words = joined(types, texts.or);
    if let Some(limits) = schema.as_object().and_then(limits) {
        words.push_str(&format!(" <small>{limits}</small>"));
    }
    words
}

/// Bounds and the default, as they stand in the schema.
fn limits(schema: &Map<String, Value>) -> Option<String> {
    const SHOWN: [&str; 9] = [
        "format",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "default",
        "contentMediaType",
    ];
    let shown: Vec<String> = SHOWN
        .iter()
        .filter_map(|name| {
            let value = match schema.get(*name)? {
                Value::String(value) => value.clone(),
                value => value.to_string(),
            };
            Some(format!("{name}: {}", escape(&value)))
        })
        .collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// The fields of an object, those of its parts among them: name, type and meaning.
pub(super) fn fields(schema: &Value, texts: &Texts) -> Vec<[String; 3]> {
    let mut rows = Vec::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        if part["$ref"].is_string() {
            rows.push(["…".to_owned(), of(part, texts), String::new()]);
        } else {
            rows.extend(fields(part, texts));
        }
    }
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let mark = if required.contains(&name.as_str()) {
            texts.required
        } else {
            ""
        };
        rows.push([
            format!("<code>{}</code> {mark}", escape(name)),
            of(field, texts),
            format!(
                "<span lang=\"en\">{}</span>",
                inline(text(&field["description"]))
            ),
        ]);
    }
    rows
}

fn joined(parts: impl Iterator<Item = String>, joint: &str) -> String {
    parts.collect::<Vec<_>>().join(&format!(" {joint} "))
}
