//! The text of a message: a string, or a list of parts of which only text is understood.

use serde_json::Value;

use super::fields::Fields;
use crate::failure::Failure;

/// The text of the field `name`; `None` when it is absent.
///
/// # Errors
/// 400 that names the field: it is neither a string nor a list, or a part has a type that is none
/// of `kinds`.
pub(super) fn text(
    fields: &Fields<'_>,
    name: &str,
    kinds: &[&str],
) -> Result<Option<String>, Failure> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(_)) => Ok(fields.text(name)?.map(str::to_owned)),
        Some(Value::Array(parts)) => of_parts(parts, &fields.path(name), kinds).map(Some),
        Some(_) => {
            let path = fields.path(name);
            Err(fields.refuse(name, format!("{path} must be a string or a list")))
        }
    }
}

fn of_parts(parts: &[Value], path: &str, kinds: &[&str]) -> Result<String, Failure> {
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let fields = Fields::of(part, &path)?;
        fields.required("type")?;
        let kind = fields.text("type")?.unwrap_or_default();
        if !kinds.contains(&kind) {
            let message = format!(
                "{path}.type must be {}: only text is understood",
                kinds.join(" or ")
            );
            let mut failure = fields.refuse("type", message);
            failure.code = "unsupported_content".into();
            return Err(failure);
        }
        // A refusal has its text under its own name.
        let name = if kind == "refusal" { kind } else { "text" };
        fields.required(name)?;
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(fields.text(name)?.unwrap_or_default());
    }
    Ok(text)
}
