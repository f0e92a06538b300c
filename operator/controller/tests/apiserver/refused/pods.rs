//! Number, size and place of pods.

use serde_json::{Value, json};

use super::Broken;

fn gateway(settings: Value) -> Value {
    json!({ "components": { "gateway": settings } })
}

fn toleration(toleration: Value) -> Value {
    json!({ "pods": { "tolerations": [toleration] } })
}

pub(super) fn broken() -> Vec<Broken> {
    vec![
        (
            "an unknown component",
            json!({ "components": { "mailer": {} } }),
            "must be a component",
        ),
        (
            "servers that share nodes in a way that there is not",
            json!({ "pods": { "spreading": "Never" } }),
            "Unsupported value: \"Never\"",
        ),
        (
            "no pods",
            gateway(json!({ "replicas": 0 })),
            "greater than or equal to 1",
        ),
        (
            "too many pods",
            gateway(json!({ "replicas": 21 })),
            "less than or equal to 20",
        ),
        (
            "a number and a range",
            gateway(json!({ "replicas": 2, "autoscaling": { "maxReplicas": 3 } })),
            "exclude each other",
        ),
        (
            "a range upside down",
            gateway(json!({ "autoscaling": { "minReplicas": 4, "maxReplicas": 3 } })),
            "at most autoscaling.maxReplicas",
        ),
        (
            "a target of nothing",
            gateway(json!({ "autoscaling": { "maxReplicas": 3, "targetCPUUtilization": 9 } })),
            "targetCPUUtilization",
        ),
        (
            "two databases",
            json!({ "components": { "postgres": { "replicas": 2 } } }),
            "components.postgres.replicas must be 1",
        ),
        (
            "two brokers",
            json!({ "components": { "rabbitmq": { "replicas": 2 } } }),
            "components.rabbitmq.replicas must be",
        ),
        (
            "stores that follow the load",
            json!({ "components": { "minio": { "autoscaling": { "maxReplicas": 4 } } } }),
            "components.minio.replicas must be",
        ),
        (
            "CPU in words",
            gateway(json!({ "resources": { "requests": { "cpu": "half" } } })),
            "resources.requests.cpu",
        ),
        (
            "memory without unit",
            gateway(json!({ "resources": { "limits": { "memory": "512" } } })),
            "resources.limits.memory",
        ),
        (
            "the operator's own label",
            gateway(json!({ "podLabels": { "app.kubernetes.io/name": "x" } })),
            "those are the operator's",
        ),
        (
            "the operator's own annotation",
            json!({ "pods": { "annotations": { "lotoai.dev/x": "x" } } }),
            "those are the operator's",
        ),
        (
            "a label's value with a space",
            json!({ "pods": { "labels": { "a": "b c" } } }),
            "spec.pods.labels",
        ),
        (
            "a toleration of nothing",
            toleration(json!({ "effect": "NoSchedule" })),
            "needs operator Exists",
        ),
        (
            "a toleration with too much",
            toleration(json!({ "key": "a", "operator": "Exists", "value": "b" })),
            "has no value",
        ),
        (
            "seconds without effect",
            toleration(json!({ "key": "a", "value": "b", "tolerationSeconds": 5 })),
            "needs effect NoExecute",
        ),
        (
            "an unknown effect",
            toleration(json!({ "key": "a", "value": "b", "effect": "Never" })),
            "supported values: \"NoSchedule\"",
        ),
        (
            "a priority in upper case",
            json!({ "pods": { "priorityClassName": "High" } }),
            "priorityClassName",
        ),
    ]
}
