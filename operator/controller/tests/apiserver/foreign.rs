//! Objects of somebody else under our names: of every kind refused, and left as they are.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use lotoai_operator::apply::FIELD_MANAGER;
use lotoai_plan::PlannedObject;
use serde_json::{Value, json};

use crate::owned::{alteration, is_credential};
use crate::planned::planned;
use crate::state;
use crate::world::{Answering, World, kinds};

/// Versions of everything that is there, but for the resource itself, whose status tells of it.
async fn versions(world: &World) -> BTreeMap<String, String> {
    let mut versions = world.versions().await;
    versions.remove("LotoAI/demo");
    versions
}

/// Puts an object of somebody else in the place of `ours`: of its kind, with what another of our
/// objects holds, and nobody's.
async fn put_in_the_way(world: &World, ours: &DynamicObject, like: &PlannedObject) {
    let (api, name) = (world.dynamic(&like.resource), ours.name_any());
    api.delete(&name, &DeleteParams::background())
        .await
        .unwrap();
    let mut theirs = like.body.clone();
    theirs["metadata"] = json!({ "name": name });
    let theirs: DynamicObject = serde_json::from_value(theirs).unwrap();
    api.create(&PostParams::default(), &theirs)
        .await
        .unwrap_or_else(|error| panic!("{}/{name}: {error}", like.resource.kind));
}

async fn is_refused_and_left_as_it_is(world: &World, kind: &ApiResource, name: &str) {
    let before = versions(world).await;
    let error = world.pass().await.unwrap_err();
    let error = lotoai_operator::error::chain(&error);
    let told = format!(
        "{}/{name}: it is there already and does not belong to this platform",
        kind.kind
    );
    assert!(error.contains(&told), "{error}");
    assert_eq!(versions(world).await, before, "{told}: nothing is written");
    let (status, _, message) = world.condition("Stalled").await;
    assert_eq!(status, "True", "{told}");
    assert!(message.contains(&told), "{message}");
}

/// Has objects of every kind that each cluster has.
fn every_kind() -> Value {
    json!({
        "url": "https://lotoai.localhost",
        "profile": "HighAvailability",
        "edge": {
            "ingress": { "className": "nginx" },
            "fromNamespaces": { "kubernetes.io/metadata.name": "infra" },
        },
    })
}

#[tokio::test]
async fn of_every_kind_they_are_refused_with_their_names_and_left_as_they_are() {
    let spec = every_kind();
    let Some(world) = World::new("foreign-kinds", &spec, Answering).await else {
        return;
    };
    // What waits for others is looked at when it is to be written: here nothing waits.
    world.settle().await;
    let all = planned(&spec).objects();
    for kind in kinds() {
        let there = state::objects(&world).await;
        // A credential's Secret is made at another place, which has tests of its own.
        let ours = there
            .iter()
            .find(|(it, object)| *it == kind && !is_credential(object));
        let (_, ours) = ours.unwrap_or_else(|| panic!("no {}", kind.kind));
        let like = all.iter().find(|it| it.resource == kind).unwrap();
        put_in_the_way(&world, ours, like).await;
        let name = ours.name_any();
        is_refused_and_left_as_it_is(&world, &kind, &name).await;
        let api = world.dynamic(&kind);
        api.delete(&name, &DeleteParams::background())
            .await
            .unwrap();
        world.settle().await;
    }
}

/// What the first write of an object comes to when somebody else has made it a moment ago: the
/// operator relies on it.
#[tokio::test]
async fn an_apply_without_force_takes_no_value_of_theirs() {
    let spec = every_kind();
    let Some(world) = World::new("foreign-raced", &spec, Answering).await else {
        return;
    };
    let all = planned(&spec).objects();
    let by = PatchParams {
        field_manager: Some("somebody".to_owned()),
        ..PatchParams::default()
    };
    // A Job is immutable.
    for kind in kinds().into_iter().filter(|kind| kind.kind != "Job") {
        let ours = all.iter().find(|it| it.resource == kind).unwrap();
        let (api, name) = (world.dynamic(&kind), ours.name.as_str());
        let mut theirs = ours.body.clone();
        theirs["metadata"] = json!({ "name": name });
        let theirs: DynamicObject = serde_json::from_value(theirs).unwrap();
        let made = api.create(&PostParams::default(), &theirs).await.unwrap();
        let altered = Patch::Merge(alteration(&made));
        let altered = api.patch(name, &by, &altered).await.unwrap();

        let mut body = ours.body.clone();
        body["metadata"]["namespace"] = json!(world.namespace);
        let unforced = PatchParams::apply(FIELD_MANAGER);
        let refused = api.patch(name, &unforced, &Patch::Apply(&body)).await;
        let refusal = match refused.unwrap_err() {
            kube::Error::Api(refusal) => refusal,
            error => panic!("{}/{name}: {error}", kind.kind),
        };
        assert_eq!(refusal.code, 409, "{}", refusal.message);
        let after = api.get(name).await.unwrap();
        let version = altered.resource_version();
        assert_eq!(after.resource_version(), version, "{}/{name}", kind.kind);
    }
}
