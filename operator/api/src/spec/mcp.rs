//! Tools that the platform may call.

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::names::ToolName;

/// Tools that the platform may call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct Mcp {
    /// Tools. Empty: the built-in `platform_usage` and `working_days`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = kube_core::ListMerge::Map(vec!["name".to_owned()]))]
    pub tools: Vec<Tool>,
}

/// One tool: a call over HTTP or a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("has(self.http) != has(self.script)").message(
        "a tool needs exactly one of http and script: remove one of them, or add the one it lacks",
    ),
)]
pub struct Tool {
    /// Name that a model calls it by.
    pub name: ToolName,
    /// What it does and when to use it. The orchestrator decides by it.
    #[schemars(length(min = 1, max = 1000))]
    pub description: String,
    /// JSON Schema (an object) of its arguments; no arguments when it is not set.
    #[serde(default = "no_arguments")]
    #[schemars(schema_with = "free_form")]
    pub input_schema: Map<String, Value>,
    /// A call over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpTool>,
    /// A POSIX shell script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptTool>,
    /// Groups that may use it; empty: everybody who is signed in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 100)))]
    pub groups: Vec<String>,
    /// Whether the person who asked must consent to a call before it is made.
    #[serde(default, skip_serializing_if = "Approval::is_never")]
    pub approval: Approval,
}

/// Which calls of a tool need the consent of the person who asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Approval {
    /// None.
    #[default]
    Never,
    /// Every call.
    Always,
    /// Calls that may change something: every method but `GET`, and every script.
    OnWrite,
}

impl Approval {
    fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

fn no_arguments() -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema
}

fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A call over HTTP. Arguments become the query of `GET` and `DELETE`, else a JSON body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct HttpTool {
    /// Method.
    #[serde(default)]
    pub method: HttpMethod,
    /// Address. `{name}` is replaced by the argument of that name.
    #[schemars(length(min = 8, max = 1000))]
    #[x_kube(validation = kube_core::Rule::new("self.matches('^https?://[^ ]+$')").message(
        "url must begin with http:// or https:// and hold no space",
    ))]
    pub url: String,
    /// Headers to send. Secrets do not belong here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20), extend("additionalProperties" = serde_json::json!({
        "type": "string", "maxLength": 1000,
    })))]
    pub headers: BTreeMap<String, String>,
    /// Longest time that a call may take, in seconds.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 100))]
    pub timeout_seconds: i32,
}

/// Method of a call over HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
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

/// A POSIX shell script. Arguments are its environment: `start_date` is `ARG_START_DATE`. What it
/// prints is the result; an exit code other than 0 is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScriptTool {
    /// Text of the script.
    #[schemars(length(min = 1, max = 20000))]
    pub source: String,
    /// Longest time that it may run, in seconds.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 100))]
    pub timeout_seconds: i32,
}

const fn default_timeout() -> i32 {
    10
}
