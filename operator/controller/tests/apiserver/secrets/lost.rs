//! Administrators that are gone while the data that know their passwords are there.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use lotoai_operator::error::{ErrorClass, chain};
use lotoai_plan::labels;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::relabelled::pass_again;
use crate::world::World;

const ADMINISTRATOR: &str = "demo-postgres-admin";
const CLAIM: &str = "data-demo-postgres-0";

/// A platform at rest whose PostgreSQL has data.
async fn with_data(namespace: &str) -> Option<World> {
    let world = World::demo(namespace).await?;
    world.settle().await;
    let claim = json!({
        "metadata": { "name": CLAIM, "labels": labels::owned_by("demo") },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
        },
    });
    let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
    let claims = world.api::<PersistentVolumeClaim>();
    claims.create(&PostParams::default(), &claim).await.unwrap();
    world.settle().await;
    Some(world)
}

/// What is told of a pass that waits for a person.
async fn refused(world: &World) -> String {
    let error = world.pass().await.unwrap_err();
    let told = chain(&error);
    assert_eq!(error.class(), ErrorClass::User, "{told}");
    let (_, _, message) = world.condition("Stalled").await;
    assert!(message.contains(CLAIM), "{message}");
    told
}

async fn delete<K>(objects: &Api<K>, name: &str)
where
    K: Clone + Debug + DeserializeOwned,
{
    objects
        .delete(name, &DeleteParams::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_administrator_is_not_made_anew_over_the_data_that_know_it() {
    let Some(world) = with_data("lost-administrator").await else {
        return;
    };
    let secrets = world.api::<Secret>();
    let before = secrets.get(ADMINISTRATOR).await.unwrap();
    delete(&secrets, ADMINISTRATOR).await;
    // One that no data know.
    delete(&secrets, "demo-rabbitmq-admin").await;
    let told = refused(&world).await;
    for part in [ADMINISTRATOR, CLAIM, "restore the Secret from a backup"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("rabbitmq"), "{told}");
    assert!(secrets.get_opt(ADMINISTRATOR).await.unwrap().is_none());

    let backup = json!({
        "metadata": { "name": ADMINISTRATOR, "labels": before.metadata.labels },
        "data": before.data,
    });
    let backup: Secret = serde_json::from_value(backup).unwrap();
    secrets
        .create(&PostParams::default(), &backup)
        .await
        .unwrap();
    world.settle().await;
    let after = secrets.get(ADMINISTRATOR).await.unwrap();
    assert_eq!(after.data, before.data);
    assert!(
        secrets.get("demo-rabbitmq-admin").await.is_ok(),
        "made anew"
    );

    // Whoever gives the data up may have another.
    delete(&secrets, ADMINISTRATOR).await;
    refused(&world).await;
    delete(&world.api::<PersistentVolumeClaim>(), CLAIM).await;
    world.settle().await;
    let anew = secrets.get(ADMINISTRATOR).await.unwrap();
    assert_ne!(anew.data, before.data);
}

#[tokio::test]
async fn an_administrator_that_only_lacks_a_label_is_taken_up() {
    let Some(world) = with_data("lost-label").await else {
        return;
    };
    let secrets = world.api::<Secret>();
    let before = secrets.get(ADMINISTRATOR).await.unwrap();
    let patch = json!({ "metadata": { "labels": { labels::PART_OF: null } } });
    let params = PatchParams::default();
    secrets
        .patch(ADMINISTRATOR, &params, &Patch::Merge(patch))
        .await
        .unwrap();
    pass_again(&world).await;
    let after = secrets.get(ADMINISTRATOR).await.unwrap();
    assert_eq!(after.metadata.labels, before.metadata.labels);
    assert_eq!(after.data, before.data);
    world.pass().await.unwrap();
}

#[tokio::test]
async fn nobody_is_told_to_delete_an_administrator_that_lacks_its_password() {
    let Some(world) = with_data("lost-password").await else {
        return;
    };
    let secrets = world.api::<Secret>();
    let params = PatchParams::default();
    let remove = async |name: &str| {
        let patch = Patch::Merge(json!({ "data": { "password": null } }));
        secrets.patch(name, &params, &patch).await.unwrap();
    };
    let advice = "delete the Secret, and it is made anew";
    remove(ADMINISTRATOR).await;
    let told = refused(&world).await;
    assert!(told.contains("restore it from a backup"), "{told}");
    assert!(!told.contains(advice), "{told}");

    delete(&secrets, ADMINISTRATOR).await;
    refused(&world).await;

    // The same of one that no data know.
    delete(&world.api::<PersistentVolumeClaim>(), CLAIM).await;
    world.settle().await;
    remove("demo-rabbitmq-admin").await;
    let told = chain(&world.pass().await.unwrap_err());
    assert!(told.contains(advice), "{told}");
}
