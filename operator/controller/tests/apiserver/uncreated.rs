//! Pods that nobody may make, as their controllers tell it to a real API server.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Patch, PatchParams, PostParams};
use lotoai_operator::dereference::events_about;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn the_condition_of_a_deployment_stalls_the_platform() {
    let Some(world) = World::demo("uncreated").await else {
        return;
    };
    world.settle().await;
    let since = Timestamp::now() - SignedDuration::from_mins(2);
    let since = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let status = json!({ "status": {
        "readyReplicas": 0, "availableReplicas": 0,
        "conditions": [{
            "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "lastTransitionTime": since,
            "message": "pods \"demo-gateway-7c9-x2x4f\" is forbidden: exceeded quota: team",
        }],
    } });
    world
        .api::<Deployment>()
        .patch_status(
            "demo-gateway",
            &PatchParams::default(),
            &Patch::Merge(status),
        )
        .await
        .unwrap();
    world.pass().await.unwrap();
    let (_, reason, message) = world.condition("Stalled").await;
    assert_eq!(reason, "PodCreationFailed");
    let expected = "gateway: Deployment demo-gateway: its pods are not created: exceeded quota: team; \
                    see  kubectl -n uncreated describe resourcequota";
    assert_eq!(message, expected);
}

fn event(name: &str, namespace: &str, uid: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "involvedObject": {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "demo-postgres",
            "namespace": namespace, "uid": uid,
        },
        "type": "Warning", "reason": "FailedCreate", "message": "exceeded quota: team",
    })
}

#[tokio::test]
async fn the_operator_may_read_the_events_of_one_object() {
    let namespace = "uncreated-events";
    let Some(world) = World::demo(namespace).await else {
        return;
    };
    let events = world.api::<Event>();
    for (name, uid) in [("about-it", "p"), ("about-another", "q")] {
        let event: Event = serde_json::from_value(event(name, namespace, uid)).unwrap();
        events.create(&PostParams::default(), &event).await.unwrap();
    }
    let client = &world.context.client;
    let found = events_about(client, namespace, vec!["p".to_owned()])
        .await
        .unwrap();
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["about-it"]);
}
