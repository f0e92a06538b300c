//! An operator that has just started, over what another one has made: it writes nothing where
//! nothing differs, and makes good what was done meanwhile.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::ResourceExt;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use lotoai_plan::labels;
use lotoai_testing::Proxy;
use rstest::rstest;
use serde_json::json;

use crate::owned::{
    FOREIGN, Kind, alteration, demo, highly_available, is_credential, shown,
    small_behind_an_ingress, wanted,
};
use crate::proxy::proxied_with;
use crate::world::{Answering, World, context};

/// A platform that is ready, and the way to the API server that its operators take.
async fn ready(kind: &Kind, test: &str) -> Option<(World, Proxy)> {
    let namespace = format!("{test}-{}", kind.name);
    let (world, proxy, _) = proxied_with(&namespace, &kind.spec).await?;
    world.settle().await;
    Some((world, proxy))
}

/// The same platform under an operator that has just started.
fn restarted(world: World) -> World {
    World {
        context: Arc::new(context(&world.context.client, Answering)),
        ..world
    }
}

/// Method and path of every write to a child since there were so many writes.
fn written(proxy: &Proxy, from: usize) -> Vec<String> {
    let is_child = |line: &String| !line.contains("/lotoais/") && !line.contains("/events");
    proxy
        .writes()
        .split_off(from)
        .into_iter()
        .filter(is_child)
        .collect()
}

/// What the operator brings back when it is altered: credentials keep their values, and a Job that
/// exists is left alone.
async fn objects(kind: &Kind, world: &World) -> Vec<(ApiResource, DynamicObject)> {
    let mut all = Vec::new();
    for (kind, object) in kind.objects(world).await {
        if kind.kind != "Job" && !is_credential(&object) {
            all.push(now(world, &kind, &object).await);
        }
    }
    all
}

/// An object as it is now.
async fn now(
    world: &World,
    kind: &ApiResource,
    object: &DynamicObject,
) -> (ApiResource, DynamicObject) {
    let api = world.dynamic(kind);
    (kind.clone(), api.get(&object.name_any()).await.unwrap())
}

/// Takes the digest of an object away.
async fn take_digest(world: &World, kind: &ApiResource, name: &str) {
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { labels::APPLIED: null } } }));
    let params = PatchParams::default();
    let api = world.dynamic(kind);
    api.patch(name, &params, &patch).await.unwrap();
}

fn somebody() -> PatchParams {
    PatchParams {
        field_manager: Some("somebody".to_owned()),
        ..PatchParams::default()
    }
}

#[rstest]
#[case::demo(demo())]
#[case::small(small_behind_an_ingress())]
#[case::high_availability(highly_available())]
#[tokio::test]
async fn a_restart_writes_nothing(#[case] kind: Kind) {
    let Some((world, proxy)) = ready(&kind, "restarted").await else {
        return;
    };
    let from = proxy.writes().len();
    assert!(from > 40, "only {from} writes made the platform");
    let world = restarted(world);
    for _ in 0..2 {
        world.pass().await.unwrap();
        assert_eq!(written(&proxy, from), [""; 0]);
    }
    // Who writes is seen: an object without a digest is sent, and no other.
    let service = ApiResource::erase::<Service>(&());
    take_digest(&world, &service, "demo-gateway").await;
    let world = restarted(world);
    world.pass().await.unwrap();
    let expected = format!(
        "PATCH /api/v1/namespaces/{}/services/demo-gateway",
        world.namespace
    );
    assert_eq!(written(&proxy, from), [expected]);
}

#[rstest]
#[case::demo(demo())]
#[case::small(small_behind_an_ingress())]
#[case::high_availability(highly_available())]
#[tokio::test]
async fn what_was_altered_meanwhile_is_restored_and_foreign_fields_stay(#[case] kind: Kind) {
    let Some((world, proxy)) = ready(&kind, "meanwhile").await else {
        return;
    };
    let all = objects(&kind, &world).await;
    for (kind, before) in &all {
        let mut patch = alteration(before);
        patch["metadata"] = json!({ "annotations": { FOREIGN: "stays" } });
        let api = world.dynamic(kind);
        let name = before.name_any();
        let altered = api.patch(&name, &somebody(), &Patch::Merge(&patch)).await;
        assert_ne!(
            wanted(&altered.unwrap()),
            wanted(before),
            "{}",
            shown(before)
        );
    }
    // Nothing changes any more when the new operator comes.
    world.make_ready(|_| true).await;
    let world = restarted(world);
    world.pass().await.unwrap();
    for (kind, before) in &all {
        let (_, after) = now(&world, kind, before).await;
        assert_eq!(wanted(&after), wanted(before), "{}", shown(before));
        assert_eq!(after.annotations()[FOREIGN], "stays");
    }
    world.make_ready(|_| true).await;
    let from = proxy.writes().len();
    let world = restarted(world);
    world.pass().await.unwrap();
    assert_eq!(written(&proxy, from), [""; 0]);
}

/// By the scale subresource, by an apply with force, and by taking a field away.
#[tokio::test]
async fn what_was_altered_in_other_ways_is_restored() {
    let Some((world, _)) = ready(&demo(), "otherwise").await else {
        return;
    };
    let all = objects(&demo(), &world).await;
    let before = |kind: &str, name: &str| {
        let found = all
            .iter()
            .find(|(it, object)| it.kind == kind && object.name_any() == name);
        found.unwrap_or_else(|| panic!("no {kind} {name}")).clone()
    };
    let gateway = before("Deployment", "demo-gateway");
    let service = before("Service", "demo-gateway");
    let config = before("ConfigMap", "demo-agents");

    let many = Patch::Merge(json!({ "spec": { "replicas": 7 } }));
    let deployments = world.api::<Deployment>();
    deployments
        .patch_scale("demo-gateway", &somebody(), &many)
        .await
        .unwrap();
    let elsewhere = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "demo-gateway" },
        "spec": { "selector": { labels::NAME: "altered" } },
    });
    let forced = PatchParams::apply("somebody").force();
    let services = world.api::<Service>();
    services
        .patch("demo-gateway", &forced, &Patch::Apply(elsewhere))
        .await
        .unwrap();
    let file = config.1.data["data"].as_object().unwrap().keys().next();
    let less = Patch::Merge(json!({ "data": { file.unwrap(): null } }));
    let configs = world.api::<ConfigMap>();
    configs
        .patch("demo-agents", &somebody(), &less)
        .await
        .unwrap();
    world.make_ready(|_| true).await;

    let altered = [gateway, service, config];
    for (kind, before) in &altered {
        let (_, altered) = now(&world, kind, before).await;
        assert_ne!(wanted(&altered), wanted(before), "{}", shown(before));
    }
    let world = restarted(world);
    world.pass().await.unwrap();
    for (kind, before) in &altered {
        let (_, after) = now(&world, kind, before).await;
        assert_eq!(wanted(&after), wanted(before), "{}", shown(before));
    }
}

#[tokio::test]
async fn what_the_resource_asks_for_since_then_is_written_and_nothing_else() {
    let Some((world, proxy)) = ready(&demo(), "changed").await else {
        return;
    };
    let limit = json!({ "edge": { "traefik": { "rateLimit": { "requestsPerSecond": 5 } } } });
    world.change(&limit).await;
    let from = proxy.writes().len();
    let world = restarted(world);
    world.pass().await.unwrap();
    let written = written(&proxy, from);
    assert!(!written.is_empty());
    for line in written {
        assert!(line.contains("/demo-traefik"), "{line}");
    }
}

#[tokio::test]
async fn what_an_operator_without_digests_made_is_written_once_and_restarts_nothing() {
    let kind = demo();
    let Some((world, proxy)) = ready(&kind, "older").await else {
        return;
    };
    let all = objects(&kind, &world).await;
    for (kind, object) in &all {
        take_digest(&world, kind, &object.name_any()).await;
    }
    let from = proxy.writes().len();
    let world = restarted(world);
    world.pass().await.unwrap();
    assert_eq!(written(&proxy, from).len(), all.len());
    for (kind, before) in &all {
        let (_, after) = now(&world, kind, before).await;
        assert_eq!(wanted(&after), wanted(before), "{}", shown(before));
        // A Deployment counts its annotations, too.
        let generation = |object: &DynamicObject| object.metadata.generation;
        if kind.kind != "Deployment" {
            assert_eq!(generation(&after), generation(before), "{}", shown(before));
        }
    }
    let from = proxy.writes().len();
    let world = restarted(world);
    world.pass().await.unwrap();
    assert_eq!(written(&proxy, from), [""; 0]);
}
