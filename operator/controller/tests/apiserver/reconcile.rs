//! Whole passes.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use lotoai_plan::labels;
use serde_json::json;

use crate::world::{Answering, DEADLINE, Silent, World, context, wait_for};

#[tokio::test]
async fn a_platform_becomes_ready_and_a_second_pass_writes_nothing() {
    let Some(world) = World::demo("second-pass").await else {
        return;
    };
    world.settle().await;
    let (ready, reason, _) = world.condition("Ready").await;
    assert_eq!((ready.as_str(), reason.as_str()), ("True", "Available"));

    let before = world.versions().await;
    assert!(before.len() > 40, "only {} objects", before.len());
    world.pass().await.unwrap();
    assert_eq!(
        world.versions().await,
        before,
        "with what was applied in mind"
    );

    // An operator that has just started remembers nothing of it.
    let fresh = World {
        context: Arc::new(context(&world.context.client, Answering)),
        ..world
    };
    fresh.settle().await;
    let after = fresh.versions().await;
    let changed: Vec<_> = after
        .iter()
        .filter(|(name, version)| before.get(*name) != Some(version))
        .map(|(name, _)| name.as_str())
        // Without a remembered probe outcome the status is pending for a moment.
        .filter(|name| *name != "LotoAI/demo")
        .collect();
    assert!(changed.is_empty(), "written again: {changed:?}");
}

#[tokio::test]
async fn ready_needs_an_answer() {
    let spec = json!({ "url": "https://lotoai.localhost" });
    let Some(world) = World::new("silent", &spec, Silent).await else {
        return;
    };
    world
        .settle_until(|status| {
            status
                .condition("Ready")
                .is_some_and(|ready| ready.reason == "ProbeFailed")
        })
        .await;
    let (ready, _, message) = world.condition("Ready").await;
    assert_eq!(ready, "False");
    assert!(message.contains("cites no passage"), "{message}");
}

#[tokio::test]
async fn the_status_says_which_component_is_not_ready_and_why() {
    let Some(world) = World::demo("not-ready").await else {
        return;
    };
    world.pass().await.unwrap();
    world.make_ready(|name| name != "demo-rabbitmq").await;
    let set = world
        .api::<StatefulSet>()
        .get("demo-rabbitmq")
        .await
        .unwrap();
    let labels = set.spec.unwrap().template.metadata.unwrap().labels;
    let pod = json!({
        "metadata": { "name": "demo-rabbitmq-0", "labels": labels },
        "spec": { "containers": [{ "name": "rabbitmq", "image": "rabbitmq:4" }] },
    });
    let pods = world.api::<k8s_openapi::api::core::v1::Pod>();
    pods.create(
        &PostParams::default(),
        &serde_json::from_value(pod).unwrap(),
    )
    .await
    .unwrap();
    let status = json!({ "status": { "phase": "Pending", "containerStatuses": [{
        "name": "rabbitmq", "image": "rabbitmq:4", "imageID": "", "ready": false,
        "restartCount": 0, "state": { "waiting": {
            "reason": "ImagePullBackOff", "message": "Back-off pulling image \"rabbitmq:4\"",
        } },
    }] } });
    pods.patch_status(
        "demo-rabbitmq-0",
        &PatchParams::default(),
        &Patch::Merge(status),
    )
    .await
    .unwrap();
    world.pass().await.unwrap();
    let (ready, _, message) = world.condition("Ready").await;
    assert_eq!(ready, "False");
    assert!(
        message.contains("rabbitmq") && message.contains("pull"),
        "{message}"
    );
    let status = world.status().await;
    let rabbitmq = status
        .components
        .iter()
        .find(|component| component.name == "rabbitmq")
        .unwrap();
    assert_eq!(rabbitmq.ready, "0/1");
    assert!(
        rabbitmq.message.contains("ImagePullBackOff"),
        "{}",
        rabbitmq.message
    );
}

#[tokio::test]
async fn an_altered_child_is_restored_and_fields_of_others_stay() {
    let Some(world) = World::demo("altered").await else {
        return;
    };
    world.settle().await;
    let services = world.api::<Service>();
    let before = services.get("demo-gateway").await.unwrap();
    let altered = json!({
        "metadata": { "annotations": { "example.com/owner": "somebody" } },
        "spec": { "selector": { labels::NAME: "wrong" } },
    });
    let by = PatchParams {
        field_manager: Some("somebody".to_owned()),
        ..PatchParams::default()
    };
    services
        .patch("demo-gateway", &by, &Patch::Merge(altered))
        .await
        .unwrap();
    world.pass().await.unwrap();
    let after = services.get("demo-gateway").await.unwrap();
    assert_eq!(after.spec.unwrap().selector, before.spec.unwrap().selector);
    assert_eq!(
        after.metadata.annotations.unwrap()["example.com/owner"],
        "somebody"
    );
}

#[tokio::test]
async fn a_foreign_object_with_our_name_is_refused_and_untouched() {
    let Some(world) = World::demo("foreign").await else {
        return;
    };
    let foreign = ConfigMap {
        metadata: ObjectMeta {
            name: Some("demo-traefik".to_owned()),
            ..ObjectMeta::default()
        },
        data: Some([("theirs".to_owned(), "yes".to_owned())].into()),
        ..ConfigMap::default()
    };
    let maps = world.api::<ConfigMap>();
    let foreign = maps.create(&PostParams::default(), &foreign).await.unwrap();
    let error = world.pass().await.unwrap_err();
    assert!(lotoai_operator::error::chain(&error).contains("ConfigMap/demo-traefik"));
    let after = maps.get("demo-traefik").await.unwrap();
    assert_eq!(after.resource_version(), foreign.resource_version());
    assert!(
        world
            .api::<Deployment>()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let (ready, _, message) = world.condition("Ready").await;
    assert_eq!(ready, "False");
    assert!(
        message.contains("demo-traefik") && message.contains("delete or rename"),
        "{message}"
    );
    let events = world
        .api::<Event>()
        .list(&ListParams::default())
        .await
        .unwrap();
    let warning = events
        .iter()
        .find(|event| event.type_.as_deref() == Some("Warning"))
        .expect("a warning");
    let note = warning.note.as_deref().unwrap_or_default();
    assert!(note.contains("demo-traefik"), "{note}");

    maps.delete("demo-traefik", &DeleteParams::default())
        .await
        .unwrap();
    world.settle().await;
}

#[tokio::test]
async fn a_paused_platform_is_left_alone() {
    let Some(world) = World::demo("paused").await else {
        return;
    };
    world.settle().await;
    world.change(&json!({ "paused": true })).await;
    world.pass().await.unwrap();
    let services = world.api::<Service>();
    services
        .delete("demo-gateway", &DeleteParams::default())
        .await
        .unwrap();
    world.pass().await.unwrap();
    assert!(services.get_opt("demo-gateway").await.unwrap().is_none());
    let status = world.status().await;
    assert!(
        status
            .conditions
            .iter()
            .any(|condition| condition.reason == "Paused")
    );

    world.change(&json!({ "paused": false })).await;
    world.settle().await;
    assert!(services.get_opt("demo-gateway").await.unwrap().is_some());
}

#[tokio::test]
async fn prune_removes_an_orphan_but_neither_what_is_foreign_nor_credentials() {
    let Some(world) = World::demo("prune").await else {
        return;
    };
    world.settle().await;
    let ours = world.api::<Service>().get("demo-gateway").await.unwrap();
    let maps = world.api::<ConfigMap>();
    for (name, owned) in [("demo-orphan", true), ("demo-foreign", false)] {
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels::owned_by("demo")),
                owner_references: ours.metadata.owner_references.clone().filter(|_| owned),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    let secrets = world
        .versions()
        .await
        .keys()
        .filter(|name| name.starts_with("Secret/"))
        .count();
    world.pass().await.unwrap();
    assert!(maps.get_opt("demo-orphan").await.unwrap().is_none());
    assert!(maps.get_opt("demo-foreign").await.unwrap().is_some());
    let left = world
        .versions()
        .await
        .keys()
        .filter(|name| name.starts_with("Secret/"))
        .count();
    assert_eq!(left, secrets);
}

#[tokio::test]
async fn the_running_operator_brings_a_deleted_child_back() {
    let Some(world) = World::demo("running").await else {
        return;
    };
    world
        .operating(async {
            let services = world.api::<Service>();
            let before = services.get("demo-gateway").await.unwrap().uid();
            services
                .delete("demo-gateway", &DeleteParams::default())
                .await
                .unwrap();
            wait_for("the child is back", DEADLINE, async || {
                services
                    .get_opt("demo-gateway")
                    .await
                    .unwrap()
                    .is_some_and(|s| s.uid() != before)
            })
            .await;
        })
        .await;
}
