//! A new image that no node can pull: the upgrade stops there, says why, and an edit takes it back.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::world::World;

const BROKEN: &str = "registry.example.com/lotoai/broken:2.0.0";
const GOOD: &str = "registry.example.com/lotoai/good:2.0.0";

/// Template of a component's workload object.
async fn template(world: &World, component: &str) -> PodTemplateSpec {
    let name = format!("demo-{component}");
    if let Some(found) = world.api::<Deployment>().get_opt(&name).await.unwrap() {
        return found.spec.unwrap().template;
    }
    let found = world.api::<StatefulSet>().get(&name).await.unwrap();
    found.spec.unwrap().template
}

async fn image(world: &World, component: &str) -> String {
    let pod = template(world, component).await.spec.unwrap();
    pod.containers[0].image.clone().unwrap()
}

/// Plays the kubelet: a pod of this image, which cannot be pulled if it is [`BROKEN`].
async fn pod(world: &World, component: &str, name: &str, image: &str) {
    let labels = template(world, component).await.metadata.unwrap().labels;
    let pods = world.api::<Pod>();
    let pod = json!({
        "metadata": { "name": name, "labels": labels },
        "spec": { "containers": [{ "name": component, "image": image }] },
    });
    let pod: Pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let state = if image == BROKEN {
        json!({ "waiting": {
            "reason": "ImagePullBackOff",
            "message": format!("Back-off pulling image \"{image}\""),
        } })
    } else {
        json!({ "running": {} })
    };
    let status = json!({ "status": { "containerStatuses": [{
        "name": component, "image": image, "imageID": "", "ready": image != BROKEN,
        "restartCount": 0, "state": state,
    }] } });
    let (params, patch) = (PatchParams::default(), Patch::Merge(status));
    pods.patch_status(name, &params, &patch).await.unwrap();
}

fn overrides(images: &[(&str, &str)]) -> Value {
    let all: Value = images
        .iter()
        .map(|(name, image)| ((*name).to_owned(), json!(image)))
        .collect();
    json!({ "images": { "overrides": all } })
}

/// Passes while everything but one component becomes ready, until nothing is written any more.
async fn roll_out_without(world: &World, stuck: &str) {
    let mut before = world.versions().await;
    for _ in 0..50 {
        world.pass().await.unwrap();
        world.make_ready(|name| name != stuck).await;
        let after = world.versions().await;
        if after == before {
            return;
        }
        before = after;
    }
    panic!("never at rest");
}

/// Gives `component` a broken image and `behind` a good one, and takes the broken one back.
async fn breaks_and_goes_back(namespace: &str, component: &str, behind: &str) {
    let Some(world) = World::demo(namespace).await else {
        return;
    };
    world.settle().await;
    let (old, old_behind) = (image(&world, component).await, image(&world, behind).await);
    let (old_pod, new_pod) = (
        format!("demo-{component}-old"),
        format!("demo-{component}-new"),
    );
    pod(&world, component, &old_pod, &old).await;

    let both = |image: &str| overrides(&[(component, image), (behind, GOOD)]);
    world.change(&both(BROKEN)).await;
    world.pass().await.unwrap();
    assert_eq!(image(&world, component).await, BROKEN);
    pod(&world, component, &new_pod, BROKEN).await;
    roll_out_without(&world, &format!("demo-{component}")).await;

    let (_, reason, message) = world.condition("Stalled").await;
    assert_eq!(reason, "ImagePullFailed");
    for part in [
        format!("{component}: upgrading from "),
        format!("to 2.0.0: Pod {new_pod}: ImagePullBackOff: Back-off pulling image \"{BROKEN}\""),
        format!("see  kubectl -n {namespace} describe pod {new_pod}"),
        format!("go back with  spec.images.overrides.{component}: {old}"),
    ] {
        assert!(message.contains(&part), "{part:?} is not in {message}");
    }
    let status = world.status().await;
    let mut shown = status.components.iter();
    let shown = shown.find(|one| one.name == behind).unwrap();
    assert!(
        shown.message.contains(&format!("waits for {component}")),
        "{}",
        shown.message
    );
    assert_eq!(image(&world, behind).await, old_behind, "it waits");

    // As the message says.
    world.change(&both(&old)).await;
    world.pass().await.unwrap();
    assert_eq!(image(&world, component).await, old);
    let now = DeleteParams::default().grace_period(0);
    world.api::<Pod>().delete(&new_pod, &now).await.unwrap();
    world
        .settle_until(|status| {
            let is = |type_| {
                status
                    .condition(type_)
                    .is_some_and(|one| one.status == "True")
            };
            is("Ready") && !is("Reconciling") && !is("Stalled")
        })
        .await;
    assert_eq!(image(&world, behind).await, GOOD);
    assert_eq!(image(&world, component).await, old);
}

#[tokio::test]
async fn a_broken_image_of_a_workload_stops_those_behind_it_until_it_is_taken_back() {
    breaks_and_goes_back("broken-image", "orchestrator", "gateway").await;
}

#[tokio::test]
async fn a_broken_image_of_a_store_does_so_too() {
    breaks_and_goes_back("broken-store", "postgres", "orchestrator").await;
}
