//! Sizes, numbers and places of pods: of one component, and of all.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use kube_derive::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::Component;
use crate::names::ObjectName;
use crate::replication::{MAX_REPLICAS, Replication, listed};
use crate::versions::PROVISION;

/// Prefixes of labels and annotations that are the operator's own.
pub const OWN_PREFIXES: [&str; 2] = ["lotoai.dev/", "app.kubernetes.io/"];

/// Number, size and place of one component's pods. What is not given keeps the profile's value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("!has(self.replicas) || !has(self.autoscaling)").message(
        "replicas and autoscaling exclude each other: remove one of them",
    ),
)]
pub struct ComponentSettings {
    /// How many pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_REPLICAS))]
    pub replicas: Option<i32>,
    /// Lets the number of pods follow the load, with a HorizontalPodAutoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Requests and limits of each pod.
    #[serde(default)]
    pub resources: ComponentResources,
    /// Labels that a node must have. Wins over `pods.nodeSelector` by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "label_values")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods bear, beside those in `pods.tolerations`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Further labels of the pods. Wins over `pods.labels` by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "label_values")]
    #[x_kube(validation = not_our_own("podLabels"))]
    pub pod_labels: BTreeMap<String, String>,
    /// Further annotations of the pods. Wins over `pods.annotations` by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotation_values")]
    #[x_kube(validation = not_our_own("podAnnotations"))]
    pub pod_annotations: BTreeMap<String, String>,
}

/// The number of pods follows the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("self.minReplicas <= self.maxReplicas").message(
        "autoscaling.minReplicas may be at most autoscaling.maxReplicas",
    ),
)]
pub struct Autoscaling {
    /// Fewest pods.
    #[serde(default = "Autoscaling::default_min")]
    #[schemars(range(min = 1, max = MAX_REPLICAS))]
    pub min_replicas: i32,
    /// Most pods.
    #[schemars(range(min = 1, max = MAX_REPLICAS))]
    pub max_replicas: i32,
    /// CPU that the pods use on average, in percent of what they request: more pods are started
    /// above it.
    #[serde(
        default = "Autoscaling::default_target",
        rename = "targetCPUUtilization"
    )]
    #[schemars(range(min = 10, max = 500))]
    pub target_cpu_utilization: i32,
}

impl Autoscaling {
    /// Percent at which a burst still finds room until the next pod is ready.
    pub const TARGET: i32 = 70;

    const fn default_min() -> i32 {
        2
    }

    const fn default_target() -> i32 {
        Self::TARGET
    }
}

/// What holds for all pods of the platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct Pods {
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "label_values")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods bear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Further labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "label_values")]
    #[x_kube(validation = not_our_own("pods.labels"))]
    pub labels: BTreeMap<String, String>,
    /// Further annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotation_values")]
    #[x_kube(validation = not_our_own("pods.annotations"))]
    pub annotations: BTreeMap<String, String>,
    /// PriorityClass; the cluster's default when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ObjectName>")]
    pub priority_class_name: Option<String>,
    /// Whether the servers of a cluster (RabbitMQ, MinIO, ClickHouse, Qdrant, Keycloak, delegated
    /// PostgreSQL) must run on different nodes.
    #[serde(default)]
    pub spreading: Spreading,
}

/// Whether the servers of a cluster must run on different nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Spreading {
    /// Each has a node of its own, and waits until there is one: no node takes a majority with it.
    #[default]
    Required,
    /// As far as there are nodes, for a cluster that has fewer of them than servers: losing one of them
    /// may stop the platform.
    Preferred,
}

/// Requests and limits of one component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentResources {
    /// What the scheduler keeps free for it.
    #[serde(default)]
    pub requests: ResourceValues,
    /// What it may use at most.
    #[serde(default)]
    pub limits: ResourceValues,
}

/// CPU and memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceValues {
    /// CPU, for example `250m` or `2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[1-9][0-9]*m?$"))]
    pub cpu: Option<String>,
    /// Memory, for example `512Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 20),
        regex(pattern = r"^[1-9][0-9]*(Ki|Mi|Gi|K|M|G)$")
    )]
    pub memory: Option<String>,
}

/// Rule of `components`: its keys are components and `provision`.
pub(super) fn known_components() -> kube_core::Rule {
    let names = Component::ALL.iter().map(|component| component.name());
    let names = names.chain([PROVISION]).map(|name| format!("'{name}'"));
    let list = names.collect::<Vec<_>>().join(", ");
    let message = format!(
        "every key of components must be a component, or provision: {}",
        list.replace('\'', "")
    );
    kube_core::Rule::new(format!("self.all(name, name in [{list}])")).message(message.as_str())
}

/// Why nothing says how many provision Jobs run.
pub const JOBS_REFUSAL: &str = "components.provision may not have replicas or autoscaling: each \
                                Job runs once; remove them";

/// Rule of `components`: nothing says how many provision Jobs run.
pub(super) fn jobs_run_once() -> kube_core::Rule {
    let rule = format!(
        "self.all(name, name != '{PROVISION}' \
         || (!has(self[name].replicas) && !has(self[name].autoscaling)))"
    );
    kube_core::Rule::new(rule).message(JOBS_REFUSAL)
}

/// Rule of `components`: how many pods this component may have.
pub(super) fn counts_of(component: Component) -> kube_core::Rule {
    let Replication::Only { counts, reason } = component.replication() else {
        return kube_core::Rule::new("true");
    };
    let list: Vec<_> = counts.iter().map(ToString::to_string).collect();
    let rule = format!(
        "self.all(name, name != '{component}' || (!has(self[name].autoscaling) && \
         (!has(self[name].replicas) || self[name].replicas in [{}])))",
        list.join(", ")
    );
    kube_core::Rule::new(rule).message(refusal(component, counts, reason).as_str())
}

/// Why a component runs as many pods as it does.
#[must_use]
pub fn refusal(component: Component, counts: &[i32], reason: &str) -> String {
    format!(
        "components.{component}.replicas must be {} and autoscaling not set: {reason}",
        listed(counts)
    )
}

/// Why rag-server runs once with the embedded vector store.
#[must_use]
pub fn embedded_refusal() -> String {
    let reason = "the embedded vector store lies on a volume that one process opens; keep vectors \
                  in Qdrant with rag.vectorStore.managed or rag.vectorStore.external to run more";
    refusal(Component::RagServer, &[1], reason)
}

/// Rule of the spec: a volume that one process opens has one pod.
pub(super) fn one_with_an_embedded_store() -> kube_core::Rule {
    let settings = format!("self.components['{}']", Component::RagServer);
    let rule = format!(
        "(has(self.rag) && has(self.rag.vectorStore) \
          && (has(self.rag.vectorStore.managed) || has(self.rag.vectorStore.external))) \
         || !has(self.components) || !('{}' in self.components) \
         || (!has({settings}.autoscaling) \
             && (!has({settings}.replicas) || {settings}.replicas == 1))",
        Component::RagServer
    );
    kube_core::Rule::new(rule).message(embedded_refusal().as_str())
}

/// Rule of labels and annotations: those of the operator select and restart pods.
fn not_our_own(field: &str) -> kube_core::Rule {
    let tests: Vec<_> = OWN_PREFIXES
        .iter()
        .map(|prefix| format!("!key.startsWith('{prefix}')"))
        .collect();
    let message = format!(
        "keys of {field} may not begin with {}: those are the operator's; choose another prefix",
        OWN_PREFIXES.join(" or ")
    );
    kube_core::Rule::new(format!("self.all(key, {})", tests.join(" && "))).message(message.as_str())
}

/// A map whose values are those of labels. A schema cannot bound keys: validation does.
fn label_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        },
    })
}

fn annotation_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": { "type": "string", "maxLength": 1024 },
    })
}

/// Tolerations as Kubernetes has them, with its own rules, so that no pod is refused later.
fn tolerations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "items": {
            "type": "object",
            "properties": {
                "key": {
                    "description": "Key of the taint; every key when it is not set.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 317,
                    "pattern": "^([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?\
                                [A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
                },
                "operator": {
                    "description": "Whether the value must be equal or only the key be there.",
                    "type": "string",
                    "enum": ["Equal", "Exists"],
                },
                "value": {
                    "description": "Value of the taint.",
                    "type": "string",
                    "maxLength": 63,
                    "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
                },
                "effect": {
                    "description": "Effect of the taint; every effect when it is not set.",
                    "type": "string",
                    "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"],
                },
                "tolerationSeconds": {
                    "description": "Seconds that a pod stays with effect NoExecute; for ever when \
                                    it is not set.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "maximum": 31_536_000,
                },
            },
            "x-kubernetes-validations": [
                {
                    "rule": "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
                    "message": "a toleration without key needs operator Exists",
                },
                {
                    "rule": "!has(self.operator) || self.operator != 'Exists' \
                             || !has(self.value) || self.value == ''",
                    "message": "a toleration with operator Exists has no value: remove it",
                },
                {
                    "rule": "!has(self.tolerationSeconds) \
                             || (has(self.effect) && self.effect == 'NoExecute')",
                    "message": "tolerationSeconds needs effect NoExecute",
                },
            ],
        },
    })
}
