//! Declared tools, checked and ready to be called.

use std::collections::BTreeSet;
use std::sync::Arc;

use jsonschema::Validator;
use lotoai_policy::declared::needs_consent;
use serde_json::{Map, Value};
use snafu::Snafu;
use url::Url;

use super::consent;
use super::declaration::{Declaration, Declarations, HttpTool, ScriptTool};

/// Most bytes of arguments in one call.
pub const MAX_ARGUMENT_BYTES: usize = 64 * 1024;

/// A declaration that cannot be used: the tool, the field, the cause and the fix.
#[derive(Debug, PartialEq, Eq, Snafu)]
pub enum ToolError {
    /// The name cannot be used.
    #[snafu(display("tool {name:?}: a name has 1 to 63 lower-case letters, digits, `_` and `-`"))]
    Name {
        /// As declared.
        name: String,
    },
    /// Two tools have one name.
    #[snafu(display("tool {name:?} is declared twice; rename one of them"))]
    Twice {
        /// The name.
        name: String,
    },
    /// Neither or both kinds.
    #[snafu(display("tool {name:?} needs exactly one of `http` and `script`"))]
    Kind {
        /// The tool.
        name: String,
    },
    /// The schema is no JSON Schema of an object.
    #[snafu(display("tool {name:?}: inputSchema is no JSON Schema of an object: {cause}"))]
    Schema {
        /// The tool.
        name: String,
        /// What is wrong.
        cause: String,
    },
    /// The address cannot be used.
    #[snafu(display("tool {name:?}: http.url {url:?} {cause}"))]
    Url {
        /// The tool.
        name: String,
        /// As declared.
        url: String,
        /// What is wrong.
        cause: String,
    },
}

/// What a tool does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Calls an address.
    Http(HttpTool),
    /// Runs a script.
    Script(ScriptTool),
}

/// A tool that can be called.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Name that a model calls it by.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: Arc<Map<String, Value>>,
    /// Groups that may use it; empty = everybody.
    pub groups: Vec<String>,
    /// What it does.
    pub action: Action,
    /// Whether the person who asked must consent to a call.
    pub needs_consent: bool,
    /// Digest of the declaration, in hex.
    pub declaration: String,
    validator: Arc<Validator>,
}

impl Tool {
    fn new(declaration: Declaration) -> Result<Self, ToolError> {
        let declared = consent::declared(&declaration);
        let name = declaration.name;
        if !is_name(&name) {
            return NameSnafu { name }.fail();
        }
        let schema = Value::Object(declaration.input_schema.clone());
        if schema["type"] != "object" {
            return SchemaSnafu {
                name,
                cause: "`type` must be `object`",
            }
            .fail();
        }
        let validator = match jsonschema::validator_for(&schema) {
            Ok(validator) => validator,
            Err(error) => {
                return SchemaSnafu {
                    name,
                    cause: error.to_string(),
                }
                .fail();
            }
        };
        let action = match (declaration.http, declaration.script) {
            (Some(http), None) => {
                check_url(&name, &http.url)?;
                Action::Http(http)
            }
            (None, Some(script)) => Action::Script(script),
            _ => return KindSnafu { name }.fail(),
        };
        Ok(Self {
            needs_consent: needs_consent(declaration.approval, consent::may_change(&action)),
            declaration: declared,
            name,
            description: declaration.description,
            input_schema: Arc::new(declaration.input_schema),
            groups: declaration.groups,
            action,
            validator: Arc::new(validator),
        })
    }

    /// Why the arguments cannot be used; empty = they can. Names every faulty field.
    #[must_use]
    pub fn faults(&self, arguments: &Map<String, Value>) -> Vec<String> {
        let instance = Value::Object(arguments.clone());
        if instance.to_string().len() > MAX_ARGUMENT_BYTES {
            return vec![format!(
                "the arguments are larger than {MAX_ARGUMENT_BYTES} bytes"
            )];
        }
        let errors = self.validator.iter_errors(&instance);
        errors
            .take(10)
            .map(|error| {
                let path = error.instance_path().to_string();
                if path.is_empty() {
                    error.to_string()
                } else {
                    format!("{path}: {error}")
                }
            })
            .collect()
    }
}

/// The tools of a file that can be used, in its order, and why the others cannot: one faulty tool
/// must not take the rest away.
#[must_use]
pub fn tools(declarations: Declarations) -> (Vec<Tool>, Vec<ToolError>) {
    let mut names = BTreeSet::new();
    let mut tools = Vec::with_capacity(declarations.tools.len());
    let mut faults = Vec::new();
    for declaration in declarations.tools {
        match Tool::new(declaration) {
            Ok(tool) if names.insert(tool.name.clone()) => tools.push(tool),
            Ok(tool) => faults.push(TwiceSnafu { name: tool.name }.build()),
            Err(fault) => faults.push(fault),
        }
    }
    (tools, faults)
}

fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// Scheme and authority must be literal, so that no argument can choose where a call goes.
fn check_url(name: &str, url: &str) -> Result<(), ToolError> {
    let refuse = |cause: &str| UrlSnafu { name, url, cause }.fail();
    let parsed = match Url::parse(url) {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&format!("is no URL: {error}")),
    };
    if !matches!(parsed.scheme(), "http" | "https") {
        return refuse("must begin with http:// or https://");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return refuse("must not hold a user or password; use a token from a Secret");
    }
    let after_scheme = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after_scheme
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    if authority.contains(['{', '}']) {
        return refuse("has an argument in its host; only the path and the query may hold one");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn parse(yaml: &str) -> Result<Vec<Tool>, String> {
        let declarations = serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())?;
        let (tools, faults) = tools(declarations);
        match faults.first() {
            Some(fault) => Err(fault.to_string()),
            None => Ok(tools),
        }
    }

    const SCHEMA: &str = "{type: object, required: [day], properties: {day: {type: string, format: date}, n: {type: integer, minimum: 1}}}";

    #[rstest]
    #[case(
        "tools: [{name: A b, description: d, script: {source: x}}]",
        "lower-case"
    )]
    #[case("tools: [{name: a, description: d}]", "exactly one")]
    #[case(
        "tools: [{name: a, description: d, script: {source: x}, http: {url: 'http://h/'}}]",
        "exactly one"
    )]
    #[case(
        "tools: [{name: a, description: d, script: {source: x}}, {name: a, description: d, script: {source: x}}]",
        "twice"
    )]
    #[case(
        "tools: [{name: a, description: d, http: {url: 'ftp://h/'}}]",
        "http://"
    )]
    #[case(
        "tools: [{name: a, description: d, http: {url: 'http://{host}/'}}]",
        "host"
    )]
    #[case(
        "tools: [{name: a, description: d, http: {url: 'http://u:p@h/'}}]",
        "password"
    )]
    #[case(
        "tools: [{name: a, description: d, inputSchema: {type: string}, script: {source: x}}]",
        "inputSchema"
    )]
    #[case(
        "tools: [{name: a, description: d, inputSchema: {type: object, properties: 7}, script: {source: x}}]",
        "inputSchema"
    )]
    #[case(
        "tools: [{name: a, description: d, colour: blue, script: {source: x}}]",
        "colour"
    )]
    fn a_faulty_declaration_is_refused(#[case] yaml: &str, #[case] says: &str) {
        let error = parse(yaml).unwrap_err();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn a_faulty_tool_does_not_take_the_others_away() {
        let yaml = "tools: [\
            {name: a, description: d, script: {source: x}}, \
            {name: b, description: d, inputSchema: {type: object, properties: 7}, script: {source: x}}, \
            {name: a, description: d, script: {source: x}}, \
            {name: c, description: d, script: {source: x}}]";
        let (tools, faults) = tools(serde_yaml_ng::from_str(yaml).unwrap());
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["a", "c"]);
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(
            faults[0].contains("\"b\"") && faults[0].contains("inputSchema"),
            "{faults:?}"
        );
        assert!(faults[1].contains("declared twice"), "{faults:?}");
    }

    #[test]
    fn arguments_are_checked_and_every_fault_is_named() {
        let yaml = format!(
            "tools: [{{name: a, description: d, inputSchema: {SCHEMA}, script: {{source: x}}}}]"
        );
        let tool = parse(&yaml).unwrap().remove(0);
        let arguments = |json: &str| serde_json::from_str::<Map<String, Value>>(json).unwrap();
        assert!(
            tool.faults(&arguments(r#"{"day": "2026-11-02", "n": 2}"#))
                .is_empty()
        );
        let faults = tool.faults(&arguments(r#"{"n": 0}"#)).join("; ");
        assert!(faults.contains("day") && faults.contains("/n"), "{faults}");
        let huge = Map::from_iter([("day".to_owned(), "x".repeat(MAX_ARGUMENT_BYTES).into())]);
        assert!(tool.faults(&huge)[0].contains("larger"));
    }
}
