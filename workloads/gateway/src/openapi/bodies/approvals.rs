//! Decisions on calls of tools.

use serde_json::Value;
use utoipa::ToSchema;

/// A decision.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// Whether the tool is called.
    pub decision: Decision,
    /// An object: what it is given instead of what was asked for, as its own schema has it; only to
    /// approve.
    pub arguments: Option<Value>,
    /// A word for the record, which the model reads, too.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// Whether the rest of the answer comes as server-sent events while it is written.
    #[schema(default = false)]
    pub stream: Option<bool>,
}

/// Whether a tool is called.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It is called.
    Approve,
    /// It is not.
    Deny,
}
