//! Where what the platform says of itself goes, and who may ask for it.

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where telemetry goes, and who may ask for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct Observability {
    /// OTLP collector (gRPC, without TLS) that workloads send traces and logs to; nothing is sent
    /// when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = kube_core::Rule::new(
        "self.matches('^http://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[1-9][0-9]{0,4})?$')",
    ).message(
        "observability.otlpEndpoint must be http://, a host and the port of the collector's gRPC \
         receiver, for example http://otel-collector.monitoring.svc:4317; workloads do not speak TLS \
         to it, so run a collector in the cluster that does",
    ))]
    pub otlp_endpoint: Option<String>,
    /// Who may ask for metrics; nobody when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

/// Who may ask for metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// A Prometheus that is in the cluster already.
    pub external: ExternalMetrics,
}

/// A Prometheus, or a collector that asks in its place, which is in the cluster already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalMetrics {
    /// Labels of the namespaces that its pods run in, for example
    /// `kubernetes.io/metadata.name: monitoring`. Nobody else is let in.
    #[schemars(
        extend("minProperties" = 1, "maxProperties" = 10),
        extend("additionalProperties" = crate::spec::label_values()),
    )]
    pub from_namespaces: BTreeMap<String, String>,
    /// Labels of its pods there, for example `app.kubernetes.io/name: prometheus`; all pods of those
    /// namespaces when it is not set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(
        extend("minProperties" = 1, "maxProperties" = 10),
        extend("additionalProperties" = crate::spec::label_values()),
    )]
    pub from_pods: BTreeMap<String, String>,
}
