//! Stores that another operator of the cluster runs for the platform: which operator, and how large.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data::Storage;

/// PostgreSQL that another operator runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct DelegatedPostgres {
    /// Who runs it. It must be installed and watch the namespace of the resource.
    #[serde(default)]
    pub operator: PostgresOperator,
    /// How many servers there are, one of which takes writes; the profile's number when it is not
    /// set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9))]
    pub instances: Option<i32>,
    /// Volume of each server.
    #[serde(default)]
    pub storage: Storage,
}

impl DelegatedPostgres {
    /// Name of the field of a store that holds one.
    pub(super) const FIELD: &'static str = "delegated";
}

/// Operators that can run PostgreSQL for the platform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PostgresOperator {
    /// CloudNativePG, by its kind `Cluster` of `postgresql.cnpg.io/v1`.
    #[default]
    #[serde(rename = "CloudNativePG")]
    CloudNativePg,
}
