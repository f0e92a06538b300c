//! Every object of a platform under the running operator: deleted, it comes back; altered, it is
//! restored, and what others wrote beside it stays.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use lotoai_plan::labels;
use serde_json::{Value, json};

use crate::state;
use crate::world::{DEADLINE, World, wait_for};

/// Within this time the operator makes good what was done to an object.
const SOON: Duration = Duration::from_secs(10);
const FOREIGN: &str = "example.com/foreign";

/// Everything that the platform owns; credentials last, because new ones restart pods and Jobs.
async fn owned(world: &World) -> Vec<(ApiResource, DynamicObject)> {
    let mut all = state::objects(world).await;
    all.retain(|(_, object)| !object.owner_references().is_empty());
    all.sort_by_key(|(_, object)| is_credential(object));
    all
}

fn is_credential(object: &DynamicObject) -> bool {
    object.labels().contains_key(labels::CREDENTIAL)
}

fn shown(object: &DynamicObject) -> String {
    let kind = object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str());
    format!("{kind}/{}", object.name_any())
}

#[tokio::test]
async fn every_deleted_object_comes_back_soon() {
    let Some(world) = World::demo("deleted").await else {
        return;
    };
    world
        .operating(async {
            let all = owned(&world).await;
            assert!(all.len() > 40, "only {} objects", all.len());
            for (kind, object) in &all {
                let api = world.dynamic(kind);
                let name = object.name_any();
                api.delete(&name, &DeleteParams::background())
                    .await
                    .unwrap();
                wait_for(&format!("{name} is back"), SOON, async || {
                    // A workload that comes back must find what it needs.
                    world.make_ready(|_| true).await;
                    let found = api.get_metadata_opt(&name).await.unwrap();
                    // New credentials make Jobs of other names.
                    kind.kind == "Job" && found.is_none() && !jobs_are_missing(&world).await
                        || found.is_some_and(|found| found.uid() != object.uid())
                })
                .await;
            }
            wait_for("the platform is ready", DEADLINE, async || {
                world.is_up().await
            })
            .await;
        })
        .await;
}

/// Whether a store is without a provision Job.
async fn jobs_are_missing(world: &World) -> bool {
    let jobs = world.api::<k8s_openapi::api::batch::v1::Job>();
    let ours = ListParams::default().labels(&labels::owned_by_selector("demo"));
    jobs.list(&ours).await.unwrap().items.len() < lotoai_api::Store::ALL.len()
}

/// A change of what the operator writes, beside its labels. Jobs are immutable.
fn alteration(object: &DynamicObject) -> Value {
    let kind = object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str());
    let first = |field: &str| {
        let map = object.data.get(field).and_then(Value::as_object);
        map.and_then(|map| map.keys().next()).cloned()
    };
    match kind {
        "ServiceAccount" => json!({ "automountServiceAccountToken": true }),
        "ConfigMap" => json!({ "data": { first("data").unwrap(): "altered" } }),
        "Secret" => json!({ "data": { first("data").unwrap(): "YWx0ZXJlZA==" } }),
        "Service" => json!({ "spec": { "selector": { labels::NAME: "altered" } } }),
        "NetworkPolicy" => {
            json!({ "spec": { "podSelector": { "matchLabels": { "altered": "yes" } } } })
        }
        "StatefulSet" | "Deployment" => json!({ "spec": { "replicas": 7 } }),
        kind => panic!("no alteration for a {kind}"),
    }
}

/// An object without what others write.
fn wanted(object: &DynamicObject) -> Value {
    let mut value = state::lasting(object);
    let metadata = value["metadata"].as_object_mut().unwrap();
    for map in ["labels", "annotations"] {
        if let Some(map) = metadata.get_mut(map).and_then(Value::as_object_mut) {
            map.remove(FOREIGN);
        }
        if metadata.get(map).is_some_and(|map| *map == json!({})) {
            metadata.remove(map);
        }
    }
    value
}

#[tokio::test]
async fn every_altered_object_is_restored_soon_and_foreign_fields_stay() {
    let Some(world) = World::demo("every-altered").await else {
        return;
    };
    world
        .operating(async {
            // A credential's value is never overwritten, and a Job that exists is left alone.
            let mut all = owned(&world).await;
            all.retain(|(kind, object)| kind.kind != "Job" && !is_credential(object));
            assert!(all.len() > 40, "only {} objects", all.len());
            let by = PatchParams {
                field_manager: Some("somebody".to_owned()),
                ..PatchParams::default()
            };
            for (kind, object) in &all {
                let api = world.dynamic(kind);
                let name = object.name_any();
                let before = api.get(&name).await.unwrap();
                let mut patch = alteration(&before);
                patch["metadata"] = json!({
                    "labels": { labels::PART_OF: "altered", FOREIGN: "stays" },
                    "annotations": { FOREIGN: "stays" },
                });
                let altered = api.patch(&name, &by, &Patch::Merge(&patch)).await.unwrap();
                assert_ne!(wanted(&altered), wanted(&before), "{}", shown(&before));
                wait_for(&format!("{name} is restored"), SOON, async || {
                    let after = api.get(&name).await.unwrap();
                    assert_eq!(after.labels()[FOREIGN], "stays");
                    assert_eq!(after.annotations()[FOREIGN], "stays");
                    wanted(&after) == wanted(&before)
                })
                .await;
            }
        })
        .await;
}
