//! Credentials between the parts of a platform.

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::ObjectName;

/// Credentials between the parts of the platform: the operator makes each, unless it is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new(
        "!has(self.given) || !has(self.rotate) || self.given.all(name, !(name in self.rotate))",
    ).message(
        "credentials.rotate may not name a credential of credentials.given, which is made anew by \
         a change of its Secret; remove it from one of them",
    ),
)]
pub struct Credentials {
    /// Makes credentials anew, without an interruption but for `minio-admin`, with which all servers
    /// of MinIO restart at once: `all` or the name of one, such as `gateway-postgres`,
    /// `postgres-admin` or `gateway-session`, and a text, such as a date. Each is made anew once for
    /// every text that it was not made for; its own entry wins over `all`, which means neither
    /// `gateway-session` nor `minio-admin`.
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
    /// Takes credentials from Secrets of yours: the name of one, such as `gateway-postgres`,
    /// `postgres-admin` or `gateway-session`, and its Secret with the key `password`, `token`,
    /// `apiKey` or `key`. A change of the value comes into use like one that is made anew.
    /// `rotate` with `all` does not mean these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 40))]
    pub given: BTreeMap<String, GivenCredential>,
}

/// A Secret with a credential that somebody else keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GivenCredential {
    /// Name of the Secret, in the namespace of the resource. It is read, and never written.
    pub name: ObjectName,
}
