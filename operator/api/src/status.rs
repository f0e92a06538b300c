//! Status of a `LotoAI` resource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::spec::DeletionPolicy;

/// What the operator observed. Secrets are named here, their values never are.
///
/// The default in the schema says `Ready=Unknown` before the operator's first look, so that
/// `kubectl wait` and Helm never take a new resource for a ready one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = json!({
    "conditions": [{
        "type": "Ready",
        "status": "Unknown",
        "reason": "Pending",
        "message": "Waiting for the operator",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }],
})))]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct LotoAIStatus {
    /// `Ready`, `Reconciling`, `Stalled` and `Degraded`, by the rules of kstatus.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube_core::ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What deleting the resource would do now, whatever its spec says: `Retain` once no volume and no
    /// credential would go with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Public address of the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Version of the platform: the operator's, once every component runs what it brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Ready components of all that are not external, for example `13/14`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components_ready: Option<String>,
    /// Each component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube_core::ListMerge::Map(vec!["name".to_owned()]))]
    pub components: Vec<ComponentStatus>,
    /// What works, but is less safe than the profile sounds, and what to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Name of the Secret with the first user's `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_user_secret: Option<String>,
    /// Secrets that the operator made, and what each is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube_core::ListMerge::Map(vec!["secret".to_owned()]))]
    pub credentials: Vec<CredentialStatus>,
}

/// State of one component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Name of the component, for example `rag-server`.
    pub name: String,
    /// Who runs it.
    #[serde(default)]
    pub mode: Mode,
    /// Ready pods of wanted pods, for example `1/1`, as their operator counts them when it is
    /// delegated; `0/0` when it is external.
    pub ready: String,
    /// Why it is not ready; empty when it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Version that runs: the tag of its image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Address inside the cluster, or that of the external server; empty when it serves nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
}

/// Who runs a component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// The operator.
    #[default]
    Managed,
    /// Somebody else: it has no pods here, and whether it works is seen in those that use it.
    External,
    /// Another operator of the cluster, for this platform alone.
    Delegated,
}

/// A Secret that the operator made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialStatus {
    /// Name of the Secret, in the namespace of the resource.
    pub secret: String,
    /// What it is for.
    pub purpose: String,
    /// The request of `spec.credentials.rotate` that it was made for last, or `Secret/` and the name
    /// of the Secret of `spec.credentials.given` that it was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
    /// What its rotation waits for; empty when it is in none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl LotoAIStatus {
    /// The condition of this type, if it is present.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.type_ == type_)
    }
}
