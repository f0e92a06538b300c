//! The format that a caller wants its answer in: `response_format` of a chat, `text.format` of a
//! response.

use lotoai_contracts::v1::AnswerFormat;
use serde_json::Value;

use super::fields::Fields;
use super::functions::{self, Dialect};
use crate::failure::Failure;

/// The format in the field `name`. `None` is plain text.
///
/// # Errors
/// 400 that names the field.
pub fn of_request(
    fields: &Fields<'_>,
    name: &str,
    dialect: Dialect,
) -> Result<Option<AnswerFormat>, Failure> {
    let Some(value) = fields.get(name) else {
        return Ok(None);
    };
    let path = fields.path(name);
    let wanted = Fields::of(value, &path)?;
    wanted.required("type")?;
    match (wanted.text("type")?.unwrap_or_default(), dialect) {
        ("text", _) => Ok(None),
        ("json_object", _) => Ok(Some(AnswerFormat::default())),
        ("json_schema", Dialect::Flat) => schema(&wanted).map(Some),
        ("json_schema", Dialect::Nested) => {
            let path = wanted.path("json_schema");
            schema(&Fields::of(wanted.required("json_schema")?, &path)?).map(Some)
        }
        _ => {
            let message = format!("{path}.type must be text, json_object or json_schema");
            Err(wanted.refuse("type", message))
        }
    }
}

fn schema(fields: &Fields<'_>) -> Result<AnswerFormat, Failure> {
    fields.required("schema")?;
    let schema = fields.object("schema")?;
    Ok(AnswerFormat {
        name: functions::name(fields)?,
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        schema_json: schema
            .map(|it| Value::Object(it.clone()).to_string())
            .unwrap_or_default(),
        strict: fields.flag("strict")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chat(format: &Value) -> Result<Option<AnswerFormat>, Failure> {
        let request = json!({ "response_format": format });
        let fields = Fields::of(&request, "").unwrap();
        of_request(&fields, "response_format", Dialect::Nested)
    }

    fn response(format: &Value) -> Result<Option<AnswerFormat>, Failure> {
        let text = json!({ "format": format });
        let fields = Fields::of(&text, "text").unwrap();
        of_request(&fields, "format", Dialect::Flat)
    }

    /// Its properties are not in the order of the alphabet.
    fn day() -> Value {
        let properties = json!({ "year": { "type": "integer" }, "day": { "type": "integer" } });
        json!({ "type": "object", "properties": properties })
    }

    #[test]
    fn both_apis_ask_for_the_same_in_their_words() {
        let nested = json!({
            "type": "json_schema",
            "json_schema": { "name": "day", "description": "A day", "schema": day(), "strict": true },
        });
        let flat = json!({
            "type": "json_schema", "name": "day", "description": "A day", "schema": day(),
            "strict": true,
        });
        let asked = chat(&nested).unwrap().unwrap();
        assert_eq!(response(&flat).unwrap().unwrap(), asked);
        assert_eq!(
            (asked.name.as_str(), asked.description.as_str()),
            ("day", "A day")
        );
        assert_eq!(
            (asked.schema_json, asked.strict),
            (day().to_string(), Some(true))
        );
    }

    #[test]
    fn the_order_of_a_schema_stays() {
        let asked = json!({ "type": "json_schema", "name": "day", "schema": day() });
        let schema = response(&asked).unwrap().unwrap().schema_json;
        assert!(schema.find("year") < schema.find("\"day\""), "{schema}");
    }

    #[test]
    fn plain_text_is_no_format_and_an_object_has_no_schema() {
        for read in [chat, response] {
            assert_eq!(read(&Value::Null).unwrap(), None);
            assert_eq!(read(&json!({ "type": "text" })).unwrap(), None);
            let any = read(&json!({ "type": "json_object" })).unwrap();
            assert_eq!(any, Some(AnswerFormat::default()));
        }
    }

    #[rstest::rstest]
    #[case(json!("json_object"), "")]
    #[case(json!({}), ".type")]
    #[case(json!({ "type": "xml" }), ".type")]
    #[case(json!({ "type": 1 }), ".type")]
    #[case(json!({ "type": "json_schema" }), ".json_schema")]
    #[case(json!({ "type": "json_schema", "json_schema": [] }), ".json_schema")]
    #[case(json!({ "type": "json_schema", "json_schema": { "name": "x" } }), ".json_schema.schema")]
    #[case(json!({ "type": "json_schema", "json_schema": { "schema": {} } }), ".json_schema.name")]
    #[case(
        json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": "y" } }),
        ".json_schema.schema"
    )]
    #[case(
        json!({ "type": "json_schema", "json_schema": { "name": "a b", "schema": {} } }),
        ".json_schema.name"
    )]
    #[case(
        json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": {}, "strict": 1 } }),
        ".json_schema.strict"
    )]
    fn what_is_no_format_is_named(#[case] format: Value, #[case] place: &str) {
        let failure = chat(&format).unwrap_err();
        assert_eq!(failure.status.as_u16(), 400);
        assert_eq!(failure.param, Some(format!("response_format{place}")));
    }

    #[test]
    fn a_schema_of_a_response_stands_beside_its_type() {
        let failure = response(&json!({ "type": "json_schema", "name": "x" })).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some("text.format.schema"));
    }
}
