//! The certificates inside a platform and their authority: made, renewed, handed over.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::world::World;

/// The texts of a Secret.
pub(crate) async fn secret(world: &World, name: &str) -> BTreeMap<String, String> {
    let data = world.api::<Secret>().get(name).await.unwrap().data;
    let texts = data.unwrap_or_default().into_iter();
    texts
        .map(|(key, bytes)| (key, String::from_utf8(bytes.0).unwrap()))
        .collect()
}

/// What pods trust.
async fn bundle(world: &World) -> String {
    let map = world.api::<ConfigMap>().get("demo-ca").await.unwrap();
    map.data.unwrap()["ca.crt"].clone()
}

/// Lets a time that stands on a Secret be some days away from now.
pub(crate) async fn say(world: &World, name: &str, annotation: &str, days: i64) {
    let time = Timestamp::now() + SignedDuration::from_hours(days * 24);
    let annotation = format!("lotoai.dev/{annotation}");
    let patch = json!({ "metadata": { "annotations": { annotation: time.to_string() } } });
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    let secrets = world.api::<Secret>();
    secrets.patch(name, &params, &patch).await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time_and_when_it_is_deleted() {
    let Some(world) = World::demo("certificates").await else {
        return;
    };
    world.pass().await.unwrap();
    let first = secret(&world, "demo-gateway-tls").await;
    let others = secret(&world, "demo-agents-tls").await;
    let trusted = bundle(&world).await;
    assert_eq!(first["ca.crt"], trusted);
    assert_eq!(secret(&world, "demo-tls").await["ca.crt"], trusted);
    let object = world.api::<Secret>().get("demo-gateway-tls").await.unwrap();
    let owners = object.metadata.owner_references.unwrap();
    assert_eq!(owners[0].kind, "LotoAI");

    say(&world, "demo-gateway-tls", "not-after", 31).await;
    world.pass().await.unwrap();
    assert_eq!(secret(&world, "demo-gateway-tls").await, first, "not due");

    say(&world, "demo-gateway-tls", "not-after", 29).await;
    world.pass().await.unwrap();
    let second = secret(&world, "demo-gateway-tls").await;
    assert_ne!(second["tls.crt"], first["tls.crt"]);
    assert_ne!(second["tls.key"], first["tls.key"]);

    let secrets = world.api::<Secret>();
    let params = DeleteParams::default();
    secrets.delete("demo-gateway-tls", &params).await.unwrap();
    world.pass().await.unwrap();
    let third = secret(&world, "demo-gateway-tls").await;
    assert_ne!(third["tls.crt"], second["tls.crt"]);

    assert_eq!(bundle(&world).await, trusted);
    assert_eq!(secret(&world, "demo-agents-tls").await, others);
}

#[tokio::test]
async fn an_authority_is_known_before_it_signs_and_as_long_as_it_lives() {
    let Some(world) = World::demo("authority").await else {
        return;
    };
    world.pass().await.unwrap();
    let first = secret(&world, "demo-ca").await;
    let certificate = secret(&world, "demo-gateway-tls").await;

    // A year before its end.
    say(&world, "demo-ca", "not-after", 364).await;
    world.pass().await.unwrap();
    let prepared = secret(&world, "demo-ca").await;
    assert_eq!(prepared["tls.crt"], first["tls.crt"]);
    let both = [first["tls.crt"].as_str(), &prepared["next.crt"]].concat();
    assert_eq!(bundle(&world).await, both);
    world.pass().await.unwrap();
    assert_eq!(secret(&world, "demo-ca").await, prepared, "for a week");

    say(&world, "demo-ca", "next-since", -8).await;
    world.pass().await.unwrap();
    let promoted = secret(&world, "demo-ca").await;
    assert_eq!(promoted["tls.crt"], prepared["next.crt"]);
    assert_eq!(promoted["tls.key"], prepared["next.key"]);
    assert_eq!(promoted["previous.crt"], first["tls.crt"]);
    assert_eq!(promoted.len(), 3, "{:?}", promoted.keys());
    assert_eq!(bundle(&world).await, both);
    assert_eq!(secret(&world, "demo-gateway-tls").await, certificate);

    // What is made now is signed by the new one.
    say(&world, "demo-agents-tls", "not-after", 1).await;
    world.pass().await.unwrap();
    let signer = secret(&world, "demo-agents-tls").await["ca.crt"].clone();
    assert_eq!(signer, promoted["tls.crt"]);

    say(&world, "demo-ca", "previous-not-after", -1).await;
    world.pass().await.unwrap();
    let left = secret(&world, "demo-ca").await;
    assert_eq!(left.len(), 2, "{:?}", left.keys());
    assert_eq!(bundle(&world).await, promoted["tls.crt"]);
    // Nobody would accept the old one's signature any more.
    let signer = secret(&world, "demo-gateway-tls").await["ca.crt"].clone();
    assert_eq!(signer, promoted["tls.crt"]);
}
