//! JSON schemas that a caller sends along.

use serde_json::{Map, Value};

/// A JSON schema as its text. Its values would take many times the memory, and it is held for as long
/// as the answer takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaText(String);

impl SchemaText {
    /// Checks a schema; `None` for what is no JSON object.
    #[must_use]
    pub fn of(text: String) -> Option<Self> {
        let object = serde_json::from_str::<Map<String, Value>>(&text);
        object.is_ok().then_some(Self(text))
    }

    /// What it says, in the order in which it says it: a model writes properties in that order.
    #[must_use]
    pub fn value(&self) -> Value {
        // It was read before.
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_an_object_and_stays_as_it_is() {
        let text = r#"{"properties":{"year":{},"day":{}}}"#;
        let schema = SchemaText::of(text.to_owned()).unwrap();
        assert_eq!(schema.value().to_string(), text);
        for other in ["[]", "1", "{", ""] {
            assert_eq!(SchemaText::of(other.to_owned()), None, "{other}");
        }
    }
}
