//! A platform whose deletion policy changes: what is said of it is never better than what is there.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use lotoai_api::spec::DeletionPolicy;
use lotoai_plan::labels;
use serde_json::{Value, json};

use crate::proxy::proxied;
use crate::world::{Answering, World};

const CLAIM: &str = "data-demo-postgres-0";

/// Plays the controller of StatefulSets: the volume of a pod that runs goes with its StatefulSet.
async fn tie_claim(world: &World) {
    let set = world.api::<StatefulSet>().get("demo-postgres").await;
    let claim = json!({
        "metadata": {
            "name": CLAIM, "labels": labels::owned_by("demo"),
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "demo-postgres",
                "uid": set.unwrap().uid(), "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "1Gi" } },
        },
    });
    let claim = serde_json::from_value(claim).unwrap();
    let claims = world.api::<PersistentVolumeClaim>();
    claims.create(&PostParams::default(), &claim).await.unwrap();
}

/// The same once the policy has changed, while the pod runs.
async fn free_claim(world: &World) {
    let patch = Patch::Merge(json!({ "metadata": { "ownerReferences": null } }));
    let claims = world.api::<PersistentVolumeClaim>();
    let params = PatchParams::default();
    claims.patch(CLAIM, &params, &patch).await.unwrap();
}

/// What would go with the resource of what is to outlive it.
async fn taken_along(world: &World) -> Vec<String> {
    let all = ListParams::default();
    let sets = world.api::<StatefulSet>().list(&all).await.unwrap();
    let takes = |set: &&StatefulSet| {
        let policy = set.spec.as_ref().unwrap();
        let policy = policy.persistent_volume_claim_retention_policy.as_ref();
        policy.is_some_and(|policy| policy.when_deleted.as_deref() == Some("Delete"))
    };
    let credentials = ListParams::default().labels(labels::CREDENTIAL);
    let secrets = world.api::<Secret>().list(&credentials).await.unwrap();
    let goes = |secret: &&Secret| !secret.owner_references().is_empty();
    let sets = sets.iter().filter(takes).map(ResourceExt::name_any);
    let secrets = secrets.iter().filter(goes).map(ResourceExt::name_any);
    sets.chain(secrets.filter(|name| !name.ends_with("-tls")))
        .collect()
}

async fn policy(world: &World) -> Option<DeletionPolicy> {
    world.status().await.deletion_policy
}

fn deleting(mut spec: Value) -> Value {
    spec["url"] = json!("https://lotoai.localhost");
    spec["deletionPolicy"] = json!("Delete");
    spec
}

#[tokio::test]
async fn a_stalled_platform_is_cut_loose_and_promises_it_only_then() {
    let Some(world) = World::new("retained-stalled", &deleting(json!({})), Answering).await else {
        return;
    };
    world.settle().await;
    tie_claim(&world).await;
    assert!(taken_along(&world).await.len() > 10, "the control");
    let broken = json!({ "edge": { "tls": { "secretName": "absent" } } });
    world.change(&broken).await;
    world.pass().await.unwrap_err();
    assert_eq!(policy(&world).await, Some(DeletionPolicy::Delete));

    world.change(&json!({ "deletionPolicy": "Retain" })).await;
    world.pass().await.unwrap_err();
    let loto = world.lotos().get("demo").await.unwrap();
    let status = loto.status.unwrap();
    assert_eq!(
        status.observed_generation, loto.metadata.generation,
        "it has seen the change"
    );
    assert_eq!(status.deletion_policy, Some(DeletionPolicy::Delete));
    let (_, reason, _) = world.condition("Stalled").await;
    assert_eq!(reason, "SecretNotFound");
    let (_, _, message) = world.condition("Ready").await;
    let told = format!("PersistentVolumeClaim/{CLAIM} would still be deleted");
    assert!(message.contains(&told), "{message}");
    assert_eq!(taken_along(&world).await, [""; 0]);

    free_claim(&world).await;
    world.pass().await.unwrap_err();
    assert_eq!(policy(&world).await, Some(DeletionPolicy::Retain));
    let (_, reason, message) = world.condition("Stalled").await;
    assert_eq!(reason, "SecretNotFound", "{message}");
    assert!(!message.contains("deletionPolicy"), "{message}");
}

/// It writes what is asked for once, however often it looks.
#[tokio::test]
async fn a_platform_that_runs_keeps_its_data_from_the_next_pass_on() {
    let Some(world) = World::new("retained-runs", &deleting(json!({})), Answering).await else {
        return;
    };
    world.settle().await;
    let all_of_it = taken_along(&world).await;
    tie_claim(&world).await;
    world.change(&json!({ "deletionPolicy": "Retain" })).await;
    world.pass().await.unwrap();
    assert_eq!(taken_along(&world).await, [""; 0]);
    assert_eq!(policy(&world).await, Some(DeletionPolicy::Delete));
    // Everything runs, and whoever waits until the change is done goes on waiting.
    world
        .settle_until(|status| {
            let waits = status.condition("Reconciling");
            waits.is_some_and(|condition| condition.message.contains(CLAIM))
        })
        .await;
    assert_eq!(world.condition("Ready").await.0, "True");

    free_claim(&world).await;
    world
        .settle_until(|status| status.conditions.len() == 1)
        .await;
    assert_eq!(policy(&world).await, Some(DeletionPolicy::Retain));
    let all = world.versions().await;
    world.pass().await.unwrap();
    assert_eq!(world.versions().await, all, "nothing is written again");

    // And back: what was cut loose is not taken for as it was applied under the policy of before.
    world.change(&json!({ "deletionPolicy": "Delete" })).await;
    world.pass().await.unwrap();
    assert_eq!(taken_along(&world).await, all_of_it);
    assert_eq!(policy(&world).await, Some(DeletionPolicy::Delete));
}

#[tokio::test]
async fn a_paused_platform_is_not_cut_loose() {
    let Some(world) = World::new("retained-paused", &deleting(json!({})), Answering).await else {
        return;
    };
    world.settle().await;
    let before = taken_along(&world).await;
    let paused = json!({ "paused": true, "deletionPolicy": "Retain" });
    world.change(&paused).await;
    world.pass().await.unwrap();
    assert_eq!(taken_along(&world).await, before);
    assert_eq!(policy(&world).await, Some(DeletionPolicy::Delete));
    let (_, reason, message) = world.condition("Ready").await;
    assert_eq!(reason, "Paused");
    assert!(message.contains("spec.paused is true"), "{message}");

    world.change(&json!({ "paused": false })).await;
    world.pass().await.unwrap();
    assert_eq!(policy(&world).await, Some(DeletionPolicy::Retain));
}

/// Whoever changes the policy back at once and waits would take the word of before for the new one.
#[tokio::test]
async fn the_word_is_taken_back_before_the_first_write_that_breaks_it() {
    let Some((world, proxy, _)) = proxied("retained-withdrawn").await else {
        return;
    };
    world.settle().await;
    assert_eq!(policy(&world).await, Some(DeletionPolicy::Retain));
    let stale = world.lotos().get("demo").await.unwrap();
    let from = proxy.writes().len();
    world.change(&json!({ "deletionPolicy": "Delete" })).await;
    world.pass().await.unwrap();
    let writes = proxy.writes();
    let first = writes[from].split('?').next().unwrap();
    assert!(first.ends_with("/lotoais/demo/status"), "{writes:?}");
    assert!(taken_along(&world).await.len() > 10, "the control");
    assert_eq!(policy(&world).await, Some(DeletionPolicy::Delete));

    // A pass that has not seen the newest resource takes nothing back, and writes nothing.
    let mut stale = stale;
    stale.spec.deletion_policy = DeletionPolicy::Delete;
    let refused = lotoai_operator::report::withdraw(&world.context.client, &stale).await;
    let refused = refused.unwrap_err();
    let Some(kube::Error::Api(status)) = refused.kube() else {
        panic!("{refused}");
    };
    assert_eq!(status.code, 409);
}
