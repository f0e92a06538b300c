//! Secrets whose labels somebody changed, and those of somebody else.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PodTemplateSpec, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use lotoai_operator::error::ErrorClass;
use lotoai_plan::labels;
use lotoai_plan::rotation::{PROMOTED, STATE, UNTIL};
use rstest::rstest;
use serde_json::json;

use super::{AtRest, gateway_hash, provision, settle_whole};
use crate::world::{Answering, World};

/// A pass that puts labels right and plans nothing, as it did not know all that there is.
pub(super) async fn pass_again(world: &World) {
    let error = world.pass().await.unwrap_err();
    let told = lotoai_operator::error::chain(&error);
    assert_eq!(error.class(), ErrorClass::Conflict, "{told}");
    assert!(told.contains("lacked a label"), "{told}");
}

/// Without one of them a pass does not find the Secret among its own, and would make another.
#[rstest]
#[case::removed(serde_json::Value::Null)]
#[case::altered(json!("altered"))]
#[tokio::test]
async fn a_label_of_a_credential_comes_back_and_its_value_stays(#[case] label: serde_json::Value) {
    let kind = if label.is_null() {
        "removed"
    } else {
        "altered"
    };
    let Some(it) = AtRest::start(&format!("label-{kind}")).await else {
        return;
    };
    let borne = async || {
        let secret = it.secrets.get(AtRest::NAME).await.unwrap();
        secret.metadata.labels.unwrap()
    };
    let before = borne().await;
    let params = PatchParams::default();
    for key in [labels::PART_OF, labels::MANAGED_BY, labels::INSTANCE] {
        let patch = json!({ "metadata": { "labels": { key: label } } });
        it.secrets
            .patch(AtRest::NAME, &params, &Patch::Merge(patch))
            .await
            .unwrap();
        assert_ne!(borne().await, before, "{key}");
        if key == labels::INSTANCE && !label.is_null() {
            // It may be another platform's: this one must not take it.
            let error = it.world.pass().await.unwrap_err();
            let error = lotoai_operator::error::chain(&error);
            assert!(
                error.contains("does not belong to this platform"),
                "{error}"
            );
            assert_eq!(borne().await[key], "altered");
            continue;
        }
        pass_again(&it.world).await;
        assert_eq!(borne().await, before, "{key}");
        assert_eq!(it.now().await, it.credential, "{key}");
    }
    assert_eq!(gateway_hash(&it.world).await, it.hash, "nobody restarts");
    assert_eq!(provision(&it.world).await, it.job);
}

/// What the pods of the gateway are made from.
async fn gateway_pods(world: &World) -> PodTemplateSpec {
    let deployments = world.api::<Deployment>();
    let spec = deployments.get("demo-gateway").await.unwrap().spec.unwrap();
    spec.template
}

/// A plan without the Secret would take the first account for the one in use and retire the other.
#[rstest]
#[tokio::test]
async fn the_second_account_stays_in_use_when_a_label_of_its_secret_goes(
    #[values(labels::PART_OF, labels::CREDENTIAL)] key: &str,
) {
    let of = key.rsplit('/').next().unwrap_or_default();
    let Some(it) = AtRest::start(&format!("label-second-{of}")).await else {
        return;
    };
    let write = async |patch: serde_json::Value| {
        let params = PatchParams::default();
        it.secrets
            .patch(AtRest::NAME, &params, &Patch::Merge(patch))
            .await
            .unwrap()
    };
    write(json!({ "stringData": { "username": "gateway-b" } })).await;
    settle_whole(&it.world).await;
    let (job, pods) = (provision(&it.world).await, gateway_pods(&it.world).await);
    assert_ne!(job, it.job, "the store was told of the second account");

    let before = it.now().await;
    write(json!({ "metadata": { "labels": { key: null } } })).await;
    pass_again(&it.world).await;
    assert_eq!(provision(&it.world).await, job);
    it.world.pass().await.unwrap();
    assert_eq!(provision(&it.world).await, job);
    assert_eq!(gateway_pods(&it.world).await, pods);
    assert_eq!(it.now().await, before);
}

/// A plan without the Secret would not know that the old key still opens what it has sealed.
#[tokio::test]
async fn the_old_key_of_sessions_stays_when_a_label_of_its_secret_goes() {
    let Some(it) = AtRest::start("label-promoted").await else {
        return;
    };
    let name = "demo-gateway-session";
    let write = async |patch: serde_json::Value| {
        let params = PatchParams::default();
        it.secrets
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap()
    };
    let alone = gateway_pods(&it.world).await;
    let key = it.secrets.get(name).await.unwrap().data.unwrap()["key"].clone();
    let promoted = json!({
        "metadata": { "annotations": { STATE: PROMOTED, UNTIL: "2999-01-01T00:00:00Z" } },
        "data": { "standby-key": key },
    });
    write(promoted).await;
    settle_whole(&it.world).await;
    let pods = gateway_pods(&it.world).await;
    assert_ne!(pods, alone, "they have both keys");

    let before = it.secrets.get(name).await.unwrap().data;
    write(json!({ "metadata": { "labels": { labels::PART_OF: null } } })).await;
    pass_again(&it.world).await;
    assert_eq!(gateway_pods(&it.world).await, pods);
    it.world.pass().await.unwrap();
    assert_eq!(gateway_pods(&it.world).await, pods);
    assert_eq!(it.secrets.get(name).await.unwrap().data, before);
}

#[tokio::test]
async fn a_credential_that_the_resource_owns_is_not_taken_for_an_orphan_without_its_label() {
    let spec = json!({ "url": "https://a.example", "deletionPolicy": "Delete" });
    let Some(world) = World::new("label-owned", &spec, Answering).await else {
        return;
    };
    world.settle().await;
    let secrets = world.api::<Secret>();
    let before = secrets.get(AtRest::NAME).await.unwrap();
    let patch = json!({ "metadata": { "labels": { labels::CREDENTIAL: null } } });
    let params = PatchParams::default();
    secrets
        .patch(AtRest::NAME, &params, &Patch::Merge(patch))
        .await
        .unwrap();
    pass_again(&world).await;
    let after = secrets.get(AtRest::NAME).await.unwrap();
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.metadata.labels, before.metadata.labels);
    assert_eq!(after.data, before.data);
}

#[tokio::test]
async fn a_secret_of_somebody_else_in_the_place_of_a_credential_is_refused() {
    let Some(world) = World::demo("label-foreign").await else {
        return;
    };
    let secrets = world.api::<Secret>();
    let theirs = json!({
        "metadata": { "name": AtRest::NAME, "labels": { labels::PART_OF: labels::PART_OF_VALUE } },
        "stringData": { "username": "gateway", "password": "theirs" },
    });
    let theirs: Secret = serde_json::from_value(theirs).unwrap();
    let made = secrets
        .create(&PostParams::default(), &theirs)
        .await
        .unwrap();
    let error = world.pass().await.unwrap_err();
    let error = lotoai_operator::error::chain(&error);
    assert!(
        error.contains("does not belong to this platform"),
        "{error}"
    );
    let after = secrets.get(AtRest::NAME).await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        made.metadata.resource_version
    );
}
