//! Certificates inside the platform.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::ObjectName;

/// Certificates inside the platform. `edge.tls` is about the one that people see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Secret in the same namespace with the authority that signs them: `tls.crt`, `tls.key` and,
    /// when the authority is not a root itself, `ca.crt` with those above it, as cert-manager
    /// writes it for a Certificate with `isCA`. The operator makes an authority of its own when it
    /// is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_secret_name: Option<ObjectName>,
}
