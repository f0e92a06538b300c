//! Declared tools, checked and ready to be called.

use std::collections::BTreeSet;
use std::sync::Arc;

use jsonschema::Validator;
use lotoai_contracts::arguments;
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
    /// A script would see two arguments as one variable.
    #[snafu(display(
        "tool {name:?}: inputSchema has {one:?} and {other:?}, which its script would both see as {}; \
         rename one of them",
        arguments::variable(one)
    ))]
    Variable {
        /// The tool.
        name: String,
        /// An argument.
        one: String,
        /// Another one.
        other: String,
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
            (None, Some(script)) => {
                check_variables(&name, &declaration.input_schema)?;
                Action::Script(script)
            }
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
        let by_name = arguments::fault(&self.input_schema, arguments, self.is_script());
        let errors = self.validator.iter_errors(&instance).take(10);
        let by_schema = errors.map(|error| {
            let path = error.instance_path().to_string();
            if path.is_empty() {
                error.to_string()
            } else {
                format!("{path}: {error}")
            }
        });
        by_name.into_iter().chain(by_schema).collect()
    }

    /// Whether its arguments become environment variables.
    #[must_use]
    pub const fn is_script(&self) -> bool {
        matches!(self.action, Action::Script(_))
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

/// What is checked as one argument must not be seen in the place of another.
fn check_variables(name: &str, input_schema: &Map<String, Value>) -> Result<(), ToolError> {
    match arguments::clash(arguments::declared(input_schema)) {
        Some((one, other)) => VariableSnafu { name, one, other }.fail(),
        None => Ok(()),
    }
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
        "tools: [{name: a, description: d, inputSchema: {type: object, properties: {a_b: {}, a-B: {}}}, script: {source: x}}]",
        "both see as ARG_A_B"
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

    /// A tool that checks its arguments; what else its schema says, and what it does.
    fn guarded(schema: &str, action: &str) -> Tool {
        let properties = "properties: {target_host: {enum: [a, b]}, port: {type: integer}}";
        let yaml = format!(
            "tools: [{{name: a, description: d, inputSchema: {{type: object, {properties}{schema}}}, {action}}}]"
        );
        parse(&yaml).unwrap().remove(0)
    }

    const ECHO: &str = "script: {source: x}";
    const GET: &str = "http: {url: 'http://h/{target_host}'}";
    const POST: &str = "http: {url: 'http://h/', method: POST}";

    #[rstest]
    #[case(ECHO, "target~host")]
    #[case(ECHO, "TARGET_HOST")]
    #[case(ECHO, "invented")]
    #[case(GET, "role")]
    #[case(POST, "role")]
    fn an_argument_that_is_not_declared_is_told_with_those_that_are(
        #[case] action: &str,
        #[case] name: &str,
        #[values("", ", additionalProperties: false")] schema: &str,
    ) {
        let tool = guarded(schema, action);
        let mut arguments = Map::from_iter([("target_host".to_owned(), "a".into())]);
        assert_eq!(tool.faults(&arguments), Vec::<String>::new(), "the control");
        arguments.insert(name.to_owned(), "anything".into());
        arguments.insert("port".to_owned(), "x".into());
        let faults = tool.faults(&arguments);
        let says = format!(r#"there is no argument {name:?}; there are: "port", "target_host""#);
        assert_eq!(faults[0], says);
        assert!(faults.join("; ").contains("/port"), "{faults:?}");
    }

    #[test]
    fn a_schema_that_takes_others_is_obeyed_but_for_the_variables_of_a_script() {
        let open = ", additionalProperties: {type: string}";
        let one = |name: &str, value: Value| Map::from_iter([(name.to_owned(), value)]);
        for action in [ECHO, GET, POST] {
            let tool = guarded(open, action);
            assert!(tool.faults(&one("other", "x".into())).is_empty());
            assert!(tool.faults(&one("other", 7.into()))[0].contains("/other"));
            let faults = tool.faults(&one("target-host", "c".into()));
            assert_eq!(faults.is_empty(), !tool.is_script(), "{faults:?}");
        }
    }

    #[test]
    fn names_that_would_be_one_variable_are_two_to_an_api() {
        let schema = "{type: object, properties: {a_b: {}, a-B: {}}}";
        let yaml = format!("tools: [{{name: a, description: d, inputSchema: {schema}, {POST}}}]");
        let both = Map::from_iter(["a_b", "a-B"].map(|name| (name.to_owned(), 1.into())));
        assert!(parse(&yaml).unwrap()[0].faults(&both).is_empty());
    }
}
