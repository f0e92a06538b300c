//! What the tool server and the orchestrator say to each other beside MCP: in a header, and in `_meta`.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// Header with the groups of the person on whose behalf tools are listed and called, separated by
/// commas.
pub const GROUPS_HEADER: &str = "x-lotoai-groups";
/// In the list: [`CONSENT_REQUIRED`] when the person who asked must consent to a call of the tool;
/// absent = they need not. In a call: the id of the approval that it rests on.
pub const APPROVAL: &str = "lotoai.dev/approval";
/// The value of [`APPROVAL`] in the list.
pub const CONSENT_REQUIRED: &str = "required";
/// In the list: a digest of everything that the tool was declared with, its address or script
/// included. In a call that somebody consented to: the digest of what they consented to.
pub const DECLARATION: &str = "lotoai.dev/declaration";
/// In the list: `true` when the tool is a script, which sees its arguments as environment variables;
/// absent = it is none.
pub const SCRIPT: &str = "lotoai.dev/script";

/// The value as text with the fields of every object in the order of their names, so that two
/// values that say the same in another order are the same text.
#[must_use]
pub fn canonical(value: Value) -> String {
    sorted(value).to_string()
}

/// SHA-256 of a text, in lower-case hex.
#[must_use]
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            let fields = fields
                .into_iter()
                .map(|(name, value)| (name, sorted(value)));
            Value::Object(Map::from_iter(fields))
        }
        Value::Array(entries) => Value::Array(entries.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_fields_does_not_count_and_that_of_entries_does() {
        let one = json!({"b": [{"y": 1, "x": 2}], "a": null});
        let text = r#"{"a":null,"b":[{"x":2,"y":1}]}"#;
        assert_eq!(canonical(one), text);
        assert_ne!(canonical(json!([1, 2])), canonical(json!([2, 1])));
    }

    #[test]
    fn a_digest_is_that_of_everybody() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(""), empty);
    }
}
