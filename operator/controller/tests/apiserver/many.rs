//! More objects than a page of a list, and more pods than run.

use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use lotoai_operator::apply::Cache;
use lotoai_operator::dereference::dereference;
use lotoai_plan::labels;
use serde_json::{Value, json};

use crate::world::World;

/// Objects of one kind. A page has 100.
const MANY: usize = 130;

/// Makes ConfigMaps of the platform that nothing asks for.
async fn make_orphans(world: &World) {
    let uid = world.lotos().get("demo").await.unwrap().uid();
    let maps = world.api::<ConfigMap>();
    let make = async |number: usize| {
        let map = json!({ "metadata": {
            "name": format!("demo-orphan-{number}"),
            "labels": labels::owned_by("demo"),
            "ownerReferences": [{
                "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI", "name": "demo", "uid": uid,
            }],
        } });
        let map: ConfigMap = serde_json::from_value(map).unwrap();
        maps.create(&PostParams::default(), &map).await.unwrap();
    };
    join_all((0..MANY).map(make)).await;
}

#[tokio::test]
async fn a_pass_sees_all_of_a_list_that_has_several_pages() {
    let Some(world) = World::demo("many-objects").await else {
        return;
    };
    world.settle().await;
    let maps = world.api::<ConfigMap>();
    let count = async || maps.list(&ListParams::default()).await.unwrap().items.len();
    let before = count().await;
    make_orphans(&world).await;
    assert_eq!(count().await, before + MANY);
    world.pass().await.unwrap();
    assert_eq!(count().await, before);
}

/// Makes a pod with these labels in this phase.
async fn make_pod(world: &World, name: &str, labels: &Value, owner: &Value, phase: &str) {
    let pod = json!({
        "metadata": { "name": name, "labels": labels, "ownerReferences": [owner] },
        "spec": { "containers": [{ "name": "x", "image": "x:1" }] },
    });
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let pods = world.api::<Pod>();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let status = Patch::Merge(json!({ "status": { "phase": phase, "reason": "Evicted" } }));
    let params = PatchParams::default();
    pods.patch_status(name, &params, &status).await.unwrap();
}

#[tokio::test]
async fn of_pods_that_ended_only_attempts_of_jobs_are_read() {
    let Some(world) = World::demo("many-pods").await else {
        return;
    };
    world.settle().await;
    let gateway = world.api::<Deployment>().get("demo-gateway").await.unwrap();
    let of_gateway = gateway.spec.unwrap().template.metadata.unwrap().labels;
    let of_gateway = json!(of_gateway);
    let set = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "x" });
    for (name, phase) in [
        ("running", "Running"),
        ("evicted", "Failed"),
        ("completed", "Succeeded"),
    ] {
        make_pod(&world, name, &of_gateway, &set, phase).await;
    }
    let jobs = world.api::<Job>();
    let job = jobs.list(&ListParams::default()).await.unwrap().items;
    let job = job.first().expect("a provision Job").clone();
    let of_job = json!(job.spec.clone().unwrap().template.metadata.unwrap().labels);
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": job.name_any(), "uid": job.uid(),
    });
    for (name, phase) in [("attempt", "Failed"), ("done", "Succeeded")] {
        make_pod(&world, name, &of_job, &owner, phase).await;
    }

    let loto = world.lotos().get("demo").await.unwrap();
    let read = async || {
        let client = &world.context.client;
        let (observed, _) = dereference(client, &loto, &Cache::default()).await.unwrap();
        observed.pods.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(read().await, ["running"], "all Jobs are complete");
    // One that was never seen to end.
    let mut again = job.clone();
    again.metadata = kube::api::ObjectMeta {
        name: Some("demo-again".to_owned()),
        labels: job.metadata.labels,
        ..kube::api::ObjectMeta::default()
    };
    again.status = None;
    let spec = again.spec.as_mut().unwrap();
    spec.selector = None;
    spec.template.metadata.as_mut().unwrap().labels = None;
    jobs.create(&PostParams::default(), &again).await.unwrap();
    assert_eq!(read().await, ["attempt", "running"]);
}
