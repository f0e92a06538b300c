//! The file that declares the tools. Its shape is that of `spec.mcp.tools` in the `LotoAI`
//! resource; a field that is not known is refused.

use std::collections::BTreeMap;

use lotoai_policy::declared::Approval;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// No call takes longer, in seconds, whatever its declaration says. The orchestrator waits 115 s for it,
/// in which it may have to try again and a script may wait for its place; the gateway and the clients
/// of our services take 120 s of silence for an end.
const MAX_SECONDS: u32 = 100;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Declarations {
    /// The tools, in the order in which clients see them.
    pub tools: Vec<Declaration>,
}

/// One tool: a call over HTTP or a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Declaration {
    /// Name that a model calls it by.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema of its arguments. It takes those of `properties`, and others only where
    /// `additionalProperties` says so.
    #[serde(default = "no_arguments")]
    pub input_schema: Map<String, Value>,
    /// A call over HTTP.
    pub http: Option<HttpTool>,
    /// A POSIX shell script.
    pub script: Option<ScriptTool>,
    /// Groups that may use it; empty = everybody who is signed in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Which calls need the consent of the person who asked.
    #[serde(default)]
    pub approval: Approval,
}

/// A call over HTTP. `{name}` in the address is replaced by the argument of that name; the other
/// arguments become the query of `GET` and `DELETE`, else a JSON body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpTool {
    /// Method.
    #[serde(default)]
    pub method: Method,
    /// Address; scheme and host are fixed, only the path and the query may hold `{name}`.
    pub url: String,
    /// Headers to send.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Environment variable whose value is sent as bearer token.
    pub token_env: Option<String>,
    /// Longest time that a call may take, in seconds.
    #[serde(default = "default_timeout", deserialize_with = "seconds")]
    pub timeout_seconds: u32,
}

/// Method of a call over HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Read.
    #[default]
    Get,
    /// Create or act.
    Post,
    /// Replace.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
}

/// A POSIX shell script. Its arguments are environment variables: `start_date` is
/// `ARG_START_DATE`. No two of them may be one variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptTool {
    /// Text of the script.
    pub source: String,
    /// Longest time that it may run, in seconds.
    #[serde(default = "default_timeout", deserialize_with = "seconds")]
    pub timeout_seconds: u32,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let declared = u32::deserialize(deserializer)?;
    Ok(declared.min(MAX_SECONDS))
}

fn no_arguments() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), "object".into())])
}

const fn default_timeout() -> u32 {
    10
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(10, 10)]
    #[case(100, 100)]
    #[case(120, 100)]
    #[case(u32::MAX, 100)]
    fn nobody_is_kept_longer_than_they_wait(#[case] declared: u32, #[case] expected: u32) {
        let yaml = format!(
            "tools: [{{name: a, description: d, http: {{url: 'http://h/', timeoutSeconds: {declared}}}}}, \
             {{name: b, description: d, script: {{source: x, timeoutSeconds: {declared}}}}}]"
        );
        let tools = serde_yaml_ng::from_str::<Declarations>(&yaml)
            .unwrap()
            .tools;
        let http = tools[0].http.as_ref().unwrap();
        let script = tools[1].script.as_ref().unwrap();
        assert_eq!(
            (http.timeout_seconds, script.timeout_seconds),
            (expected, expected)
        );
    }
}
