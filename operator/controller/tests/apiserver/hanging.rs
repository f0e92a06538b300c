//! A pod that hangs, as the running operator sees it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::world::{DEADLINE, World, wait_for};

const POD: &str = "demo-gateway-0";

#[tokio::test]
async fn a_pod_that_hangs_stalls_the_platform_until_it_is_ready() {
    let Some(world) = World::demo("hanging").await else {
        return;
    };
    world
        .operating(async {
            make_pod(&world).await;
            let patience = SignedDuration::from_mins(15);
            let left = SignedDuration::from_secs(5);
            say(&world, false, Timestamp::now() - patience + left).await;
            wait_for("the gateway is waited for", DEADLINE, async || {
                let status = world.status().await;
                status.condition("Reconciling").is_some() && status.condition("Stalled").is_none()
            })
            .await;
            // Nothing changes any more. Without the end of patience the next look would be ten
            // seconds away at least.
            let limit = Duration::from_secs(9);
            wait_for("it is told when patience ends", limit, async || {
                world.status().await.condition("Stalled").is_some()
            })
            .await;
            let (_, reason, message) = world.condition("Stalled").await;
            assert_eq!(reason, "PodNotReady");
            assert!(message.starts_with("gateway: "), "{message}");
            let said = format!("Pod {POD} is not ready since ");
            assert!(message.contains(&said), "{message}");

            say(&world, true, Timestamp::now()).await;
            wait_for("the stall is over", DEADLINE, async || {
                let status = world.status().await;
                let conditions = status.conditions.iter();
                let types: Vec<_> = conditions.map(|one| one.type_.as_str()).collect();
                types == ["Ready"]
            })
            .await;
        })
        .await;
}

async fn make_pod(world: &World) {
    let gateway = world.api::<Deployment>().get("demo-gateway").await.unwrap();
    let labels = gateway.spec.unwrap().template.metadata.unwrap().labels;
    let pod = json!({
        "metadata": { "name": POD, "labels": labels },
        "spec": { "nodeName": "n1", "containers": [{ "name": "gateway", "image": "gateway:1" }] },
    });
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let pods = world.api::<Pod>();
    pods.create(&PostParams::default(), &pod).await.unwrap();
}

/// Plays the kubelet, and then the controller that counts ready pods.
async fn say(world: &World, ready: bool, since: Timestamp) {
    let since = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let status = if ready { "True" } else { "False" };
    let pod = json!({
        "phase": "Running",
        "conditions": [{ "type": "Ready", "status": status, "lastTransitionTime": since }],
        "containerStatuses": [{
            "name": "gateway", "image": "gateway:1", "imageID": "", "ready": ready, "started": true,
            "restartCount": 0, "state": { "running": { "startedAt": since } },
        }],
    });
    let patch = |status: &Value| Patch::Merge(json!({ "status": status }));
    let params = PatchParams::default();
    let pods = world.api::<Pod>();
    pods.patch_status(POD, &params, &patch(&pod)).await.unwrap();
    let count = i32::from(ready);
    let deployment = json!({ "readyReplicas": count, "availableReplicas": count });
    let deployments = world.api::<Deployment>();
    deployments
        .patch_status("demo-gateway", &params, &patch(&deployment))
        .await
        .unwrap();
}
