//! A cluster whose policy writes digests into the images of workload objects, as Kyverno's
//! `verifyImages` does.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use lotoai_api::LotoAIStatus;
use lotoai_plan::labels;
use serde_json::{Value, json};

use crate::world::{Answering, DEADLINE, World, context, wait_for};

const DIGEST: &str = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

async fn create(world: &World, kind: &str, body: Value) {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    let api: Api<DynamicObject> =
        Api::all_with(world.client.clone(), &ApiResource::from_gvk(&kind));
    let object = serde_json::from_value(body).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

/// Puts the policy in force in the world's namespace. It is named like that.
async fn rewrite_images(world: &World) {
    let image = "object.spec.template.spec.containers[0].image";
    let rule = json!({
        "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments", "statefulsets"],
    });
    let patch = format!(
        "[JSONPatch{{op: 'replace', path: '/spec/template/spec/containers/0/image', \
         value: {image} + '{DIGEST}'}}]"
    );
    let policy = json!({
        "metadata": { "name": world.namespace },
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": { "resourceRules": [rule] },
            "matchConditions": [{ "name": "bare", "expression": format!("!{image}.contains('@')") }],
            "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": patch } }],
        },
    });
    create(world, "MutatingAdmissionPolicy", policy).await;
    let here = json!({ "kubernetes.io/metadata.name": world.namespace });
    let binding = json!({
        "metadata": { "name": world.namespace },
        "spec": {
            "policyName": world.namespace,
            "matchResources": { "namespaceSelector": { "matchLabels": here } },
        },
    });
    create(world, "MutatingAdmissionPolicyBinding", binding).await;
    let probe: Deployment = serde_json::from_value(json!({
        "metadata": { "name": "probe" },
        "spec": {
            "selector": { "matchLabels": { "probe": "yes" } },
            "template": {
                "metadata": { "labels": { "probe": "yes" } },
                "spec": { "containers": [{ "name": "probe", "image": "probe:1" }] },
            },
        },
    }))
    .unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    wait_for("the policy is in force", DEADLINE, async || {
        let created = world.api::<Deployment>().create(&dry, &probe).await;
        image_of(&created.unwrap().spec.unwrap().template).ends_with(DIGEST)
    })
    .await;
}

fn image_of(template: &PodTemplateSpec) -> String {
    let pod = template.spec.as_ref().unwrap();
    pod.containers[0].image.clone().unwrap()
}

/// Metadata and template of every workload object, by name.
async fn workloads(world: &World) -> BTreeMap<String, (ObjectMeta, PodTemplateSpec)> {
    let all = ListParams::default();
    let sets = world.api::<StatefulSet>().list(&all).await.unwrap();
    let sets = sets.items.into_iter();
    let sets = sets.map(|set| (set.metadata, set.spec.unwrap().template));
    let deployments = world.api::<Deployment>().list(&all).await.unwrap();
    let deployments = deployments.items.into_iter();
    let deployments = deployments.map(|one| (one.metadata, one.spec.unwrap().template));
    sets.chain(deployments)
        .map(|(metadata, template)| (metadata.name.clone().unwrap(), (metadata, template)))
        .collect()
}

/// The templates, with every change of which pods restart.
async fn templates(world: &World) -> BTreeMap<String, PodTemplateSpec> {
    let workloads = workloads(world).await.into_iter();
    workloads
        .map(|(name, (_, template))| (name, template))
        .collect()
}

/// The platform's objects that were written since then.
async fn written(world: &World, before: &BTreeMap<String, String>) -> Vec<String> {
    let now = world.versions().await.into_iter();
    now.filter(|(name, version)| before.get(name) != Some(version))
        .map(|(name, _)| name)
        .filter(|name| name != "LotoAI/demo")
        .collect()
}

fn is_done(status: &LotoAIStatus) -> bool {
    let conditions = status.conditions.iter();
    let said: Vec<_> = conditions
        .map(|one| (one.type_.as_str(), one.status.as_str()))
        .collect();
    said == [("Ready", "True")]
}

/// Makes the workload objects those of a version that wrote no images beside the templates.
async fn of_before(world: &World) {
    let annotations = json!({ labels::IMAGE: null, labels::APPLIED: null });
    let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
    let params = PatchParams::default();
    for set in world
        .api::<StatefulSet>()
        .list(&ListParams::default())
        .await
        .unwrap()
    {
        let api = world.api::<StatefulSet>();
        api.patch(&set.name_any(), &params, &patch).await.unwrap();
    }
    for deployment in world
        .api::<Deployment>()
        .list(&ListParams::default())
        .await
        .unwrap()
    {
        let api = world.api::<Deployment>();
        api.patch(&deployment.name_any(), &params, &patch)
            .await
            .unwrap();
    }
}

fn restarted(world: World) -> World {
    World {
        context: Arc::new(context(&world.context.client, Answering)),
        ..world
    }
}

#[tokio::test]
async fn a_platform_starts_and_rests_under_a_policy_that_rewrites_images() {
    let Some(world) = World::demo("rewritten").await else {
        return;
    };
    rewrite_images(&world).await;
    world.settle_until(is_done).await;
    for (name, (metadata, template)) in workloads(&world).await {
        let planned = &metadata.annotations.unwrap()[labels::IMAGE];
        assert_eq!(image_of(&template), format!("{planned}{DIGEST}"), "{name}");
    }
    let before = world.versions().await;
    world.pass().await.unwrap();
    assert_eq!(written(&world, &before).await, [] as [String; 0]);
    // What was applied is told by the objects all the same.
    let world = restarted(world);
    world.pass().await.unwrap();
    assert_eq!(written(&world, &before).await, [] as [String; 0]);
}

#[tokio::test]
async fn a_platform_that_waited_under_such_a_policy_goes_on_without_a_restart() {
    let Some(world) = World::demo("rewritten-before").await else {
        return;
    };
    rewrite_images(&world).await;
    world.settle_until(is_done).await;
    of_before(&world).await;
    let before = templates(&world).await;
    let world = restarted(world);
    world.pass().await.unwrap();
    let gateway = world.api::<Deployment>().get("demo-gateway").await.unwrap();
    assert!(
        !gateway.annotations().contains_key(labels::IMAGE),
        "it waits"
    );
    world.settle_until(is_done).await;
    assert_eq!(templates(&world).await, before);
}

#[tokio::test]
async fn an_operator_that_begins_to_write_images_down_restarts_nothing() {
    let Some(world) = World::demo("written-down").await else {
        return;
    };
    world.settle_until(is_done).await;
    of_before(&world).await;
    let before = templates(&world).await;
    let world = restarted(world);
    world.pass().await.unwrap();
    for (name, (metadata, template)) in workloads(&world).await {
        let annotations = metadata.annotations.unwrap_or_default();
        let said = annotations.get(labels::IMAGE);
        assert_eq!(said, Some(&image_of(&template)), "{name}");
    }
    assert_eq!(templates(&world).await, before);
}
