//! Kinds that come with other projects, as far as the platform uses them. A cluster need not have
//! them.

use std::borrow::Cow;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::{Resource, TypeMeta};
use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! kind {
    ($(#[$doc:meta])* $name:ident, $status:ty, $group:literal, $version:literal, $plural:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            /// `apiVersion` and `kind`.
            #[serde(flatten, default)]
            pub types: Option<TypeMeta>,
            /// Name, labels and owner.
            #[serde(default)]
            pub metadata: ObjectMeta,
            /// What is wanted.
            #[serde(default)]
            pub spec: Value,
            /// What its controller says.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub status: Option<$status>,
        }

        impl $name {
            /// An object of this kind.
            #[must_use]
            pub fn new(metadata: ObjectMeta, spec: Value) -> Self {
                let types = TypeMeta {
                    api_version: Self::api_version(&()).into_owned(),
                    kind: Self::kind(&()).into_owned(),
                };
                Self { types: Some(types), metadata, spec, status: None }
            }
        }

        impl Resource for $name {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind(_: &()) -> Cow<'_, str> {
                stringify!($name).into()
            }

            fn group(_: &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version(_: &()) -> Cow<'_, str> {
                $version.into()
            }

            fn plural(_: &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

kind! {
    /// A certificate that cert-manager keeps in a Secret.
    Certificate, CertificateStatus, "cert-manager.io", "v1", "certificates"
}
kind! {
    /// A route of the Gateway API.
    HTTPRoute, RouteStatus, "gateway.networking.k8s.io", "v1", "httproutes"
}
kind! {
    /// How a Gateway checks the server behind a route. Of the Gateway API since its version 1.4.
    BackendTLSPolicy, PolicyStatus, "gateway.networking.k8s.io", "v1", "backendtlspolicies"
}

kind! {
    /// A PostgreSQL cluster of CloudNativePG.
    Cluster, ClusterStatus, "postgresql.cnpg.io", "v1", "clusters"
}

/// What CloudNativePG says of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Servers that serve.
    #[serde(default)]
    pub ready_instances: i32,
    /// What it is doing, for people; empty before its first look.
    #[serde(default)]
    pub phase: String,
    /// More about the phase, for people.
    #[serde(default)]
    pub phase_reason: String,
    /// `Ready` among them.
    #[serde(default)]
    pub conditions: Vec<StatedCondition>,
}

/// What cert-manager says of a certificate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// `Ready` among them.
    #[serde(default)]
    pub conditions: Vec<StatedCondition>,
}

/// A condition of another project, which may leave out fields that those of Kubernetes have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedCondition {
    /// What it is about.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}

/// What the controllers of Gateways say of a route.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// One entry per Gateway that has looked at the route.
    #[serde(default)]
    pub parents: Vec<GatewayWord>,
}

/// What the controllers of Gateways say of a policy. Not every one says something.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// One entry per Gateway that has looked at the policy.
    #[serde(default)]
    pub ancestors: Vec<GatewayWord>,
}

/// What one Gateway says of a route or a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayWord {
    /// The Gateway: as the route names it, or above what the policy is about.
    #[serde(rename = "parentRef", alias = "ancestorRef")]
    pub gateway: GatewayRef,
    /// `Accepted` and `ResolvedRefs` among them.
    #[serde(default)]
    pub conditions: Vec<StatedCondition>,
}

/// A Gateway, or one of its listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRef {
    /// Name of the Gateway.
    pub name: String,
    /// Its namespace; that of the route when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the listener; all of them when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}
