//! The certificate that people see.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::ObjectName;

/// The certificate that people see. The operator signs one itself when nothing is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("!has(self.secretName) || !has(self.certManager)").message(
        "edge.tls takes one of secretName and certManager: remove one of them",
    ),
)]
pub struct EdgeTls {
    /// Secret of type `kubernetes.io/tls` in the same namespace (`tls.crt`, `tls.key`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ObjectName>")]
    pub secret_name: Option<String>,
    /// An issuer of cert-manager, which must be in the cluster, signs it and renews it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<CertManager>,
}

impl EdgeTls {
    /// Whether the operator signs the certificate itself.
    #[must_use]
    pub const fn is_self_signed(&self) -> bool {
        self.secret_name.is_none() && self.cert_manager.is_none()
    }
}

/// A certificate from cert-manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertManager {
    /// Who signs.
    pub issuer_ref: IssuerRef,
}

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// Name of the issuer.
    #[schemars(with = "ObjectName")]
    pub name: String,
    /// Its kind: `Issuer` is looked for in the same namespace, `ClusterIssuer` is everybody's.
    #[serde(default = "IssuerRef::default_kind")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub kind: String,
    /// API group of its kind.
    #[serde(default = "IssuerRef::default_group")]
    #[schemars(with = "ObjectName")]
    pub group: String,
}

impl IssuerRef {
    fn default_kind() -> String {
        "Issuer".to_owned()
    }

    fn default_group() -> String {
        "cert-manager.io".to_owned()
    }
}
