//! Credentials that the operator makes.

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use serde::{Deserialize, Serialize};

/// Credentials that the operator makes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct Credentials {
    /// Makes credentials anew, without an interruption: `all` or the name of one, such as
    /// `gateway-postgres`, `postgres-admin` or `gateway-session`, and a text, such as a date. Each
    /// is made anew once for every text that it was not made for; its own entry wins over `all`,
    /// which does not mean `gateway-session`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 40), extend("additionalProperties" = serde_json::json!({
        "type": "string", "minLength": 1, "maxLength": 63,
    })))]
    #[x_kube(validation = kube_core::Rule::new(
        "self.all(name, self[name].matches('^[A-Za-z0-9]([-A-Za-z0-9._:+]*[A-Za-z0-9])?$'))",
    ).message(
        "every value of credentials.rotate must be a short text of letters, digits and -._:+, for \
         example 2026-11-26",
    ))]
    pub rotate: BTreeMap<String, String>,
}
