//! How people reach the platform.

mod routes;
mod tls;
mod traefik;

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use routes::{GatewayApi, Ingress, ParentRef};
pub use tls::{CertManager, EdgeTls, IssuerRef};
pub use traefik::{RateLimit, SecurityHeaders, Traefik};

/// How people reach the platform: through the reverse proxy that it brings along, or through a
/// controller that the cluster has already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new(
        "!(has(self.traefik) && has(self.ingress)) \
         && !(has(self.traefik) && has(self.gatewayAPI)) \
         && !(has(self.ingress) && has(self.gatewayAPI))",
    ).message(
        "edge.traefik, edge.ingress and edge.gatewayAPI exclude one another: keep one of them, or \
         none for the platform's own Traefik",
    ),
    validation = kube_core::Rule::new(
        "has(self.fromNamespaces) == (has(self.ingress) || has(self.gatewayAPI))",
    ).message(
        "edge.fromNamespaces goes with edge.ingress or edge.gatewayAPI, and only with them: set it \
         to labels of the namespace that the controller's pods run in, for example \
         kubernetes.io/metadata.name: ingress-nginx",
    ),
    validation = kube_core::Rule::new(
        "(!has(self.ingress) && !has(self.gatewayAPI)) \
         || (self.service.type == 'ClusterIP' && !has(self.service.httpsNodePort))",
    ).message(
        "edge.service is the Service of the platform's own Traefik, which edge.ingress and \
         edge.gatewayAPI replace: remove edge.service",
    ),
    validation = kube_core::Rule::new(
        "!has(self.traefik) || !has(self.traefik.securityHeaders) \
         || !has(self.traefik.securityHeaders.hstsSeconds) \
         || self.traefik.securityHeaders.hstsSeconds == 0 \
         || has(self.tls.secretName) || has(self.tls.certManager)",
    ).message(
        "edge.traefik.securityHeaders.hstsSeconds needs a certificate that browsers trust, because \
         it takes away the way past a warning: set edge.tls, or remove hstsSeconds",
    ),
)]
pub struct Edge {
    /// The Service that people's requests arrive at.
    #[serde(default)]
    pub service: EdgeService,
    /// The certificate that they see.
    #[serde(default)]
    pub tls: EdgeTls,
    /// Largest document that may be uploaded, at most `256Mi`; `32Mi` when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 5), regex(pattern = r"^[1-9][0-9]{0,2}(Mi|M)$"))]
    pub max_upload_size: Option<String>,
    /// Rules of the reverse proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traefik: Option<Traefik>,
    /// An Ingress for a controller of the cluster instead of the platform's own reverse proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// An HTTPRoute at Gateways of the cluster instead of the platform's own reverse proxy.
    #[serde(
        default,
        rename = "gatewayAPI",
        skip_serializing_if = "Option::is_none"
    )]
    pub gateway_api: Option<GatewayApi>,
    /// Labels of the namespaces whose pods may reach the platform with `ingress` or `gatewayAPI`:
    /// those of the controller. Nobody else is let in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(
        extend("minProperties" = 1, "maxProperties" = 10),
        extend("additionalProperties" = crate::spec::label_values()),
    )]
    pub from_namespaces: BTreeMap<String, String>,
}

impl Edge {
    /// Whether the platform brings its own reverse proxy along.
    #[must_use]
    pub const fn is_managed(&self) -> bool {
        self.ingress.is_none() && self.gateway_api.is_none()
    }
}

/// The Service that people's requests arrive at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("!has(self.httpsNodePort) || self.type == 'NodePort'")
        .message("edge.service.httpsNodePort needs edge.service.type NodePort: set it, or remove \
                  httpsNodePort"),
)]
pub struct EdgeService {
    /// Type of the Service.
    #[serde(default, rename = "type")]
    pub type_: ServiceType,
    /// Port on every node that HTTPS is served at, with type `NodePort`; the cluster chooses one
    /// when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30000, max = 32767))]
    pub https_node_port: Option<i32>,
}

/// Type of a Service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Reached from inside the cluster, or through `kubectl port-forward`.
    #[default]
    ClusterIP,
    /// Reached through a port of every node.
    NodePort,
    /// Reached through a load balancer of the cloud.
    LoadBalancer,
}

impl ServiceType {
    /// The value as the Service spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}
