//! Where images come from.

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::ObjectName;

/// Where images come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct Images {
    /// Registry, with a path if there is one, that replaces the host of every image reference
    /// but those in `overrides`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[a-z0-9]([-._/:a-z0-9]*[a-z0-9])?$")
    )]
    pub registry: Option<String>,
    /// Complete references by component (`provision` for the provision Jobs).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), extend("additionalProperties" = serde_json::json!({
        "type": "string", "minLength": 1, "maxLength": 400,
    })))]
    #[x_kube(validation = overridable())]
    #[x_kube(validation = kube_core::Rule::new(
        "self.all(name, self[name].matches('^[^ ]+(:[^/:@ ]+|@sha256:[0-9a-f]{64})$') \
         && !self[name].endsWith(':latest'))",
    ).message("every image in images.overrides needs a tag other than latest, or a digest"))]
    pub overrides: BTreeMap<String, String>,
    /// When nodes pull; the operator's own setting when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Secrets of type `kubernetes.io/dockerconfigjson` in the same namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = kube_core::ListMerge::Map(vec!["name".to_owned()]))]
    pub pull_secrets: Vec<PullSecret>,
}

/// Rule for the keys of `overrides`: components and `provision`.
fn overridable() -> kube_core::Rule {
    let mut names: Vec<_> = crate::Component::ALL.iter().map(|c| c.name()).collect();
    names.push(crate::versions::PROVISION);
    let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    kube_core::Rule::new(format!("self.all(name, name in [{}])", quoted.join(", "))).message(
        format!(
            "every key of images.overrides must be one of {}",
            names.join(", ")
        )
        .as_str(),
    )
}

/// When nodes pull images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// Before every start.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never: the image must be on the node.
    Never,
}

impl PullPolicy {
    /// The value as containers spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// A Secret with the password of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PullSecret {
    /// Name of the Secret.
    #[schemars(with = "ObjectName")]
    pub name: String,
}
