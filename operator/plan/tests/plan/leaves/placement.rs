//! Numbers, sizes and places of pods.

use serde_json::{Value, json};

use super::{Case, merge};

fn gateway(settings: Value) -> Value {
    json!({ "components": { "gateway": settings } })
}

fn all_pods(extra: Value) -> Value {
    json!({ "pods": extra })
}

fn toleration(extra: Value) -> Value {
    let mut toleration = json!({ "key": "leaf", "effect": "NoExecute" });
    merge(&mut toleration, extra);
    json!({ "tolerations": [toleration] })
}

pub(super) fn component_cases() -> Vec<Case> {
    let resources = |side: &str, what: &str, amount: &str| {
        gateway(json!({ "resources": { side: { what: amount } } }))
    };
    let autoscaling = |extra: Value| {
        let mut autoscaling = json!({ "maxReplicas": 9 });
        merge(&mut autoscaling, extra);
        gateway(json!({ "autoscaling": autoscaling }))
    };
    vec![
        (
            "components{}.replicas",
            gateway(json!({ "replicas": 7 })),
            r#""replicas":7"#,
        ),
        (
            "components{}.autoscaling.minReplicas",
            autoscaling(json!({ "minReplicas": 7 })),
            r#""minReplicas":7"#,
        ),
        (
            "components{}.autoscaling.maxReplicas",
            autoscaling(json!({})),
            r#""maxReplicas":9"#,
        ),
        (
            "components{}.autoscaling.targetCPUUtilization",
            autoscaling(json!({ "targetCPUUtilization": 71 })),
            r#""averageUtilization":71"#,
        ),
        (
            "components{}.resources.requests.cpu",
            resources("requests", "cpu", "71m"),
            r#""cpu":"71m""#,
        ),
        (
            "components{}.resources.requests.memory",
            resources("requests", "memory", "71Mi"),
            r#""memory":"71Mi""#,
        ),
        (
            "components{}.resources.limits.cpu",
            resources("limits", "cpu", "7"),
            r#""cpu":"7""#,
        ),
        (
            "components{}.resources.limits.memory",
            resources("limits", "memory", "771Mi"),
            r#""memory":"771Mi""#,
        ),
        (
            "components{}.nodeSelector{}",
            gateway(json!({ "nodeSelector": { "leaf": "green" } })),
            r#""nodeSelector":{"leaf":"green"}"#,
        ),
        (
            "components{}.tolerations[].key",
            gateway(toleration(json!({}))),
            r#""key":"leaf""#,
        ),
        (
            "components{}.tolerations[].operator",
            gateway(toleration(json!({ "operator": "Exists" }))),
            r#""operator":"Exists""#,
        ),
        (
            "components{}.tolerations[].value",
            gateway(toleration(json!({ "value": "green" }))),
            r#""value":"green""#,
        ),
        (
            "components{}.tolerations[].effect",
            gateway(toleration(json!({ "effect": "PreferNoSchedule" }))),
            r#""effect":"PreferNoSchedule""#,
        ),
        (
            "components{}.tolerations[].tolerationSeconds",
            gateway(toleration(json!({ "tolerationSeconds": 71 }))),
            r#""tolerationSeconds":71"#,
        ),
        (
            "components{}.podLabels{}",
            gateway(json!({ "podLabels": { "leaf": "green" } })),
            r#""leaf":"green""#,
        ),
        (
            "components{}.podAnnotations{}",
            gateway(json!({ "podAnnotations": { "leaf": "green" } })),
            r#""leaf":"green""#,
        ),
    ]
}

pub(super) fn pod_cases() -> Vec<Case> {
    vec![
        (
            "pods.nodeSelector{}",
            all_pods(json!({ "nodeSelector": { "leaf": "green" } })),
            r#""nodeSelector":{"leaf":"green"}"#,
        ),
        (
            "pods.tolerations[].key",
            all_pods(toleration(json!({}))),
            r#""key":"leaf""#,
        ),
        (
            "pods.tolerations[].operator",
            all_pods(toleration(json!({ "operator": "Exists" }))),
            r#""operator":"Exists""#,
        ),
        (
            "pods.tolerations[].value",
            all_pods(toleration(json!({ "value": "green" }))),
            r#""value":"green""#,
        ),
        (
            "pods.tolerations[].effect",
            all_pods(toleration(json!({ "effect": "PreferNoSchedule" }))),
            r#""effect":"PreferNoSchedule""#,
        ),
        (
            "pods.tolerations[].tolerationSeconds",
            all_pods(toleration(json!({ "tolerationSeconds": 71 }))),
            r#""tolerationSeconds":71"#,
        ),
        (
            "pods.labels{}",
            all_pods(json!({ "labels": { "leaf": "green" } })),
            r#""leaf":"green""#,
        ),
        (
            "pods.annotations{}",
            all_pods(json!({ "annotations": { "leaf": "green" } })),
            r#""leaf":"green""#,
        ),
        (
            "pods.spreading",
            json!({
                "pods": { "spreading": "Preferred" },
                "components": { "keycloak": { "replicas": 2 } },
            }),
            "preferredDuringSchedulingIgnoredDuringExecution",
        ),
        (
            "pods.priorityClassName",
            all_pods(json!({ "priorityClassName": "leaf" })),
            r#""priorityClassName":"leaf""#,
        ),
    ]
}
