//! Which names the arguments of a tool may have. A schema checks what a name that it declares may be; under a
//! name that it does not declare, anything would come past it to the tool.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Names of a call that are told at most.
const MAX_TOLD: usize = 10;

/// Why a tool with this input schema does not take arguments of these names; `None` = it does.
///
/// JSON Schema lets every name pass that nothing speaks of. Here only those in `properties` of the schema
/// itself do, unless `additionalProperties` says otherwise. What `allOf`, `$ref` or `patternProperties`
/// declare counts with `additionalProperties` only: names are read from questions by `properties`, too.
/// A script must not get two of them in one variable.
#[must_use]
pub fn fault(
    input_schema: &Map<String, Value>,
    arguments: &Map<String, Value>,
    is_script: bool,
) -> Option<String> {
    let strange: Vec<&str> = names(arguments)
        .filter(|name| !is_declared(input_schema, name))
        .collect();
    if strange.is_empty() {
        return None;
    }
    if !takes_others(input_schema) {
        return Some(unknown(input_schema, &strange));
    }
    if !is_script {
        return None;
    }
    let all = declared(input_schema).chain(strange);
    clash(all).map(|(one, other)| {
        let variable = variable(other);
        format!("argument {other:?} would be {variable}, as {one:?} is: leave it out or rename it")
    })
}

/// The names that `properties` of the schema itself declares.
pub fn declared(input_schema: &Map<String, Value>) -> impl Iterator<Item = &str> {
    properties(input_schema).into_iter().flat_map(names)
}

/// The first two names that a script would see as one variable.
#[must_use]
pub fn clash<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let mut taken = BTreeMap::new();
    names.into_iter().find_map(|name| {
        let before = taken.insert(variable(name), name)?;
        (before != name).then_some((before, name))
    })
}

/// The environment variable in which a script sees the argument of this name.
#[must_use]
pub fn variable(name: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    format!("ARG_{}", name.chars().map(safe).collect::<String>())
}

fn properties(input_schema: &Map<String, Value>) -> Option<&Map<String, Value>> {
    input_schema.get("properties").and_then(Value::as_object)
}

fn is_declared(input_schema: &Map<String, Value>, name: &str) -> bool {
    properties(input_schema).is_some_and(|properties| properties.contains_key(name))
}

fn names(object: &Map<String, Value>) -> impl Iterator<Item = &str> {
    object.keys().map(String::as_str)
}

/// Whether the schema itself says what becomes of other names. A bare `false` takes none, and is
/// refused here to say which there are.
fn takes_others(input_schema: &Map<String, Value>) -> bool {
    match input_schema.get("additionalProperties") {
        None => false,
        Some(Value::Bool(false)) => input_schema.contains_key("patternProperties"),
        Some(_) => true,
    }
}

/// For a model, which may have made the names up, as much as for a person.
fn unknown(input_schema: &Map<String, Value>, strange: &[&str]) -> String {
    let quoted = |name: &str| format!("{name:?}");
    let told = strange.iter().take(MAX_TOLD).map(|name| quoted(name));
    let told = told.collect::<Vec<_>>().join(" or ");
    // By name, and not as whoever wrote the schema had them.
    let mut known: Vec<String> = declared(input_schema).map(quoted).collect();
    if known.is_empty() {
        return format!("there is no argument {told}; the tool takes none");
    }
    known.sort();
    let known = known.join(", ");
    format!("there is no argument {told}; there are: {known}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn fault_of(schema: &Value, arguments: Value, is_script: bool) -> Option<String> {
        fault(&object(schema.clone()), &object(arguments), is_script)
    }

    /// A schema with one declared name, and something else at its top.
    fn schema(more: Value) -> Value {
        let mut schema = object(json!({"type": "object", "properties": {"target_host": {}}}));
        schema.extend(object(more));
        Value::Object(schema)
    }

    #[test]
    fn a_name_that_is_not_declared_is_refused() {
        let other = json!({"properties": {"other": {}}});
        for more in [
            json!({}),
            json!({"additionalProperties": false}),
            json!({"unevaluatedProperties": true}),
            json!({"patternProperties": {"^other$": {}}}),
            json!({"allOf": [other]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": other}}),
        ] {
            let schema = schema(more);
            for is_script in [false, true] {
                let arguments = json!({"target_host": "a", "other": 1});
                let fault = fault_of(&schema, arguments, is_script);
                let says = r#"there is no argument "other"; there are: "target_host""#;
                assert_eq!(fault.as_deref(), Some(says), "{schema}");
                // The controls: what is declared, and nothing at all.
                for arguments in [json!({"target_host": "a"}), json!({})] {
                    assert_eq!(fault_of(&schema, arguments, is_script), None, "{schema}");
                }
            }
        }
    }

    #[test]
    fn a_schema_that_speaks_of_other_names_is_left_to_itself() {
        for more in [
            json!({"additionalProperties": true}),
            json!({"additionalProperties": {"type": "integer"}}),
            json!({"additionalProperties": false, "patternProperties": {"^o": {}}}),
        ] {
            let schema = schema(more);
            for is_script in [false, true] {
                let arguments = json!({"target_host": "a", "other": 1});
                assert_eq!(fault_of(&schema, arguments, is_script), None, "{schema}");
            }
        }
    }

    #[test]
    fn a_tool_without_arguments_takes_none() {
        let arguments = json!({"a": 1, "b": 2});
        let fault = fault_of(&json!({"type": "object"}), arguments, false);
        let says = r#"there is no argument "a" or "b"; the tool takes none"#;
        assert_eq!(fault.as_deref(), Some(says));
    }

    #[test]
    fn not_every_one_of_many_names_is_told() {
        let many = (0..500).map(|n| (format!("n{n:03}"), Value::Null));
        let fault = fault(&Map::new(), &many.collect(), false).unwrap();
        assert!(fault.contains("\"n009\""), "{fault}");
        assert!(!fault.contains("\"n010\""), "{fault}");
    }

    #[test]
    fn an_argument_cannot_take_the_variable_of_another() {
        let open = schema(json!({"additionalProperties": true}));
        for (arguments, says) in [
            (
                json!({"target_host": "a", "target~host": "b"}),
                r#""target~host" would be ARG_TARGET_HOST, as "target_host" is"#,
            ),
            (
                json!({"TARGET_host": "b"}),
                r#""TARGET_host" would be ARG_TARGET_HOST, as "target_host" is"#,
            ),
            (
                json!({"a-b": 1, "a.b": 2}),
                r#""a.b" would be ARG_A_B, as "a-b" is"#,
            ),
        ] {
            let fault = fault_of(&open, arguments.clone(), true).unwrap();
            assert!(fault.contains(says), "{fault}");
            // The control: where there are no variables, the names are two.
            assert_eq!(fault_of(&open, arguments, false), None);
        }
    }

    #[test]
    fn names_that_are_one_variable_are_found() {
        assert_eq!(clash(["a_b", "c", "a-b"]), Some(("a_b", "a-b")));
        assert_eq!(clash(["ab", "AB"]), Some(("ab", "AB")));
        assert_eq!(clash(["é", "ñ"]), Some(("é", "ñ")));
        assert_eq!(clash(["a_b", "ab", "a_b_", "a_b"]), None, "the control");
    }
}
