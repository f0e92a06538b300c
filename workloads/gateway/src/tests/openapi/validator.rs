//! Whether the document holds together. What an independent validator says of it is in `clients`,
//! where `make test` has installed one.

use serde_json::{Value, json};

use super::document;

/// References within the document that lead nowhere.
fn dangling(value: &Value, document: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let target = reference
                    .strip_prefix('#')
                    .and_then(|it| document.pointer(it));
                if target.is_none() {
                    found.push(reference.clone());
                }
            }
            map.values().for_each(|it| dangling(it, document, found));
        }
        Value::Array(list) => list.iter().for_each(|it| dangling(it, document, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let mut document = document();
    let mut found = Vec::new();
    dangling(&document, &document, &mut found);
    assert_eq!(found, Vec::<String>::new());
    // The control.
    document["x"] = json!({ "$ref": "#/components/schemas/Nothing" });
    dangling(&document, &document, &mut found);
    assert_eq!(found, ["#/components/schemas/Nothing"]);
}

#[test]
fn every_schema_is_one_of_json_schema_2020_12() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        let valid = jsonschema::draft202012::meta::validate(schema);
        assert!(valid.is_ok(), "{name}: {valid:?}");
    }
    assert!(jsonschema::draft202012::meta::validate(&json!({ "type": "text" })).is_err());
}
