//! Whether others understand the document.

use std::process::Command;

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

/// The check of an independent program, where there is one on this machine.
fn validate(document: &Value) -> Option<Result<(), String>> {
    let python = |code: &str, argument: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", code, argument]).output()
    };
    let found = python("import openapi_spec_validator", "");
    if !found.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: this machine has no Python package openapi-spec-validator");
        return None;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), document.to_string()).unwrap();
    let code = "import json, sys\n\
                from openapi_spec_validator import OpenAPIV31SpecValidator\n\
                OpenAPIV31SpecValidator(json.load(open(sys.argv[1]))).validate()";
    let output = python(code, file.path().to_str().unwrap()).unwrap();
    Some(if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    })
}

#[test]
fn an_independent_program_takes_the_document_for_openapi_3_1() {
    let document = document();
    let Some(outcome) = validate(&document) else {
        return;
    };
    assert_eq!(outcome, Ok(()));
    // The controls: what is wrong is found.
    for (at, value) in [
        ("/info/title", json!(null)),
        ("/paths/~1v1~1models/get/responses", json!([])),
        ("/components/schemas/Me/type", json!("text")),
    ] {
        let mut wrong = document.clone();
        *wrong.pointer_mut(at).unwrap() = value;
        assert!(validate(&wrong).unwrap().is_err(), "{at}");
    }
}
