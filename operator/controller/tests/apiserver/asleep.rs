//! An autoscaled workload that somebody scales to nothing.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::world::{Answering, World};

/// Needs nobody, so it is there after the first pass.
const NAME: &str = "demo-model-server";

/// Writes the number as `kubectl scale` and autoscalers do.
async fn scale(world: &World, by: &str, replicas: i32) {
    let by = PatchParams {
        field_manager: Some(by.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    let deployments = world.api::<Deployment>();
    deployments.patch_scale(NAME, &by, &patch).await.unwrap();
}

/// The number that it asks for after a pass.
async fn asked(world: &World) -> Option<i32> {
    world.pass().await.unwrap();
    let deployment = world.api::<Deployment>().get(NAME).await.unwrap();
    deployment.spec.unwrap().replicas
}

#[tokio::test]
async fn it_comes_back_and_its_number_is_the_autoscalers_again() {
    let spec = json!({
        "url": "https://lotoai.localhost",
        "components": { "model-server": { "autoscaling": { "minReplicas": 2, "maxReplicas": 5 } } },
    });
    let Some(world) = World::new("asleep", &spec, Answering).await else {
        return;
    };
    world.pass().await.unwrap();
    scale(&world, "kubectl", 0).await;
    assert_eq!(asked(&world).await, Some(2));
    assert_eq!(
        asked(&world).await,
        Some(2),
        "it stays when nobody scales it"
    );
    scale(&world, "kube-controller-manager", 4).await;
    assert_eq!(
        asked(&world).await,
        Some(4),
        "the autoscaler's number is left alone"
    );
    scale(&world, "kube-controller-manager", 1).await;
    assert_eq!(asked(&world).await, Some(1));

    world.change(&json!({ "suspend": true })).await;
    assert_eq!(asked(&world).await, Some(0));
    assert_eq!(asked(&world).await, Some(0), "a suspended one sleeps");
    world.change(&json!({ "suspend": false })).await;
    assert_eq!(asked(&world).await, Some(2), "it wakes with its least");
}
