//! The structural part of the schema: fields, types, bounds. Rules are checked elsewhere.
//!
//! It knows the keywords that the definition uses; a test fails when a new one appears.

use lotoai_plan::Invalid;
use regex::Regex;
use serde_json::{Map, Value};

use super::read::fault;

/// Fields of every object of the cluster.
const TYPE_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Checks a whole object; what stands as null is taken out where the API server does so.
pub(super) fn check(schema: &Value, object: &mut Value) -> Vec<Invalid> {
    let mut faults = Vec::new();
    node(schema, object, "", &mut faults);
    faults
}

fn node(schema: &Value, value: &mut Value, path: &str, faults: &mut Vec<Invalid>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let is = type_of(value);
    let wanted = schema["type"].as_str().unwrap_or(is);
    if is != wanted && !(wanted == "number" && is == "integer") {
        let message = format!("it is of type {is}; write a value of type {wanted}");
        faults.push(fault(path, message));
        return;
    }
    if let Some(options) = schema["enum"].as_array()
        && !options.contains(value)
    {
        let options: Vec<String> = options.iter().map(plain).collect();
        let message = format!(
            "{} is none of the values that it may have: {}",
            plain(value),
            options.join(", ")
        );
        faults.push(fault(path, message));
    }
    match value {
        Value::Object(map) => fields(schema, map, path, faults),
        Value::Array(items) => {
            bounds(schema, "Items", items.len(), "entries", path, faults);
            for (index, item) in items.iter_mut().enumerate() {
                let path = format!("{path}[{}]", key_of(schema, item, index));
                node(&schema["items"], item, &path, faults);
            }
        }
        Value::String(text) => string(schema, text, path, faults),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let below = schema["minimum"].as_f64().is_some_and(|min| number < min);
            let above = schema["maximum"].as_f64().is_some_and(|max| number > max);
            if below || above {
                let range = range(&schema["minimum"], &schema["maximum"]);
                faults.push(fault(path, format!("{number} is not {range}")));
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn fields(schema: &Value, map: &mut Map<String, Value>, path: &str, faults: &mut Vec<Invalid>) {
    let known = schema["properties"].as_object();
    let others = &schema["additionalProperties"];
    let is_open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    // A null where none may be is as good as nothing.
    map.retain(|name, value| {
        let schema = known.and_then(|known| known.get(name));
        !value.is_null() || schema.is_none_or(|schema| schema["nullable"] == true)
    });
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if !map.contains_key(name) {
            faults.push(fault(join(path, name), "it is missing; add it"));
        }
    }
    bounds(schema, "Properties", map.len(), "entries", path, faults);
    for (name, value) in map {
        let path = join(path, name);
        let schema = known.and_then(|known| known.get(name));
        match schema {
            Some(schema) => node(schema, value, &path, faults),
            None if others.is_object() => node(others, value, &path, faults),
            None if is_open || path == *name && TYPE_FIELDS.contains(&name.as_str()) => {}
            None => {
                let names: Vec<&str> = known
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| &**name)
                    .collect();
                let message = format!("no such field; the fields here are {}", names.join(", "));
                faults.push(fault(path, message));
            }
        }
    }
}

fn string(schema: &Value, text: &str, path: &str, faults: &mut Vec<Invalid>) {
    let length = text.chars().count();
    bounds(schema, "Length", length, "characters", path, faults);
    let Some(pattern) = schema["pattern"].as_str() else {
        return;
    };
    if Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)) {
        faults.push(fault(path, format!("{text:?} does not match {pattern}")));
    }
}

fn bounds(
    schema: &Value,
    what: &str,
    count: usize,
    unit: &str,
    path: &str,
    faults: &mut Vec<Invalid>,
) {
    let (min, max) = (&schema[format!("min{what}")], &schema[format!("max{what}")]);
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    if min.as_u64().is_some_and(|min| count < min) || max.as_u64().is_some_and(|max| count > max) {
        let message = format!("it has {count} {unit}, which is not {}", range(min, max));
        faults.push(fault(path, message));
    }
}

fn range(min: &Value, max: &Value) -> String {
    match (min.is_null(), max.is_null()) {
        (false, false) => format!("from {min} to {max}"),
        (false, true) => format!("at least {min}"),
        (true, _) => format!("at most {max}"),
    }
}

/// How an entry of a list is named: by its key when the list is a map, else by its place.
fn key_of(schema: &Value, item: &Value, index: usize) -> String {
    let key = schema["x-kubernetes-list-map-keys"][0].as_str();
    key.and_then(|key| item[key].as_str())
        .map_or_else(|| index.to_string(), str::to_owned)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kube::CustomResourceExt;
    use lotoai_api::LotoAI;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn definition() -> Value {
        let definition = serde_json::to_value(LotoAI::crd()).unwrap();
        let root = definition.pointer("/spec/versions/0/schema/openAPIV3Schema");
        root.unwrap().clone()
    }

    fn collect(schema: &Value, keywords: &mut BTreeSet<String>) {
        for (keyword, below) in schema.as_object().into_iter().flatten() {
            keywords.insert(keyword.clone());
            match keyword.as_str() {
                "properties" => below
                    .as_object()
                    .unwrap()
                    .values()
                    .for_each(|schema| collect(schema, keywords)),
                "items" | "additionalProperties" => collect(below, keywords),
                _ => {}
            }
        }
    }

    #[test]
    fn every_keyword_of_the_definition_is_known() {
        let mut keywords = BTreeSet::new();
        collect(&definition(), &mut keywords);
        let known = [
            "additionalProperties",
            "default",
            "description",
            "enum",
            "format",
            "items",
            "maxItems",
            "maxLength",
            "maxProperties",
            "maximum",
            "minItems",
            "minLength",
            "minProperties",
            "minimum",
            "nullable",
            "pattern",
            "properties",
            "required",
            "title",
            "type",
            "x-kubernetes-list-map-keys",
            "x-kubernetes-list-type",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-validations",
        ];
        for keyword in keywords {
            assert!(known.contains(&keyword.as_str()), "{keyword}");
        }
    }

    #[test]
    fn every_pattern_of_the_definition_is_understood() {
        fn patterns(schema: &Value) -> Vec<String> {
            let below = match schema {
                Value::Object(map) => map.values().flat_map(patterns).collect(),
                Value::Array(items) => items.iter().flat_map(patterns).collect(),
                _ => Vec::new(),
            };
            let own = schema["pattern"].as_str().map(str::to_owned);
            own.into_iter().chain(below).collect()
        }
        for pattern in patterns(&definition()) {
            assert!(Regex::new(&pattern).is_ok(), "{pattern}");
        }
    }

    #[rstest]
    #[case(json!({ "a": "x" }), &[])]
    #[case(json!({ "a": "x", "b": null }), &[])]
    #[case(json!({ "a": null }), &["a: it is missing; add it"])]
    #[case(json!({ "a": 1 }), &["a: it is of type integer; write a value of type string"])]
    #[case(json!({ "a": "xxxx" }), &["a: it has 4 characters, which is not from 1 to 3"])]
    #[case(json!({ "a": "X" }), &["a: \"X\" does not match ^[a-z]*$"])]
    #[case(json!({ "a": "x", "c": "no" }), &["c: no is none of the values that it may have: Yes, No"])]
    #[case(json!({ "a": "x", "n": 9 }), &["n: 9 is not at most 8"])]
    #[case(
        json!({ "a": "x", "l": [{ "name": "one", "z": 1 }, { "name": "two" }] }),
        &["l[one].z: no such field; the fields here are name"]
    )]
    #[case(json!({ "a": "x", "m": { "k": true } }), &["m.k: it is of type boolean; write a value of type string"])]
    #[case(json!({ "a": "x", "open": { "k": true } }), &[])]
    #[case(json!({ "a": "x", "kind": "K", "z": 1 }), &["z: no such field; the fields here are a, b, c, l, m, n, open"])]
    fn faults_name_the_field_and_the_fix(#[case] mut object: Value, #[case] expected: &[&str]) {
        let schema = json!({ "type": "object", "required": ["a"], "properties": {
            "a": { "type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-z]*$" },
            "b": { "type": "string", "default": "y" },
            "c": { "type": "string", "enum": ["Yes", "No"] },
            "l": { "type": "array", "x-kubernetes-list-map-keys": ["name"], "items": {
                "type": "object", "properties": { "name": { "type": "string" } } } },
            "m": { "type": "object", "additionalProperties": { "type": "string" } },
            "n": { "type": "integer", "maximum": 8 },
            "open": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
        } });
        let faults: Vec<String> = check(&schema, &mut object)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(faults, expected);
    }
}
