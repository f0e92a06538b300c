//! An authority that the resource names: it signs, it is handed over, and it is left alone.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use lotoai_operator::tls::{Certified, authority};
use serde_json::{Value, json};

use crate::certificates::{bundle, say, secret};
use crate::world::{Answering, World};

const FIELD: &str = "spec.tls.authoritySecretName";

/// A resource that names the Secret.
fn spec() -> Value {
    json!({ "url": "https://lotoai.localhost", "tls": { "authoritySecretName": "company-ca" } })
}

fn made() -> Certified {
    authority("company", Timestamp::now()).unwrap()
}

/// What stands in the Secret, as cert-manager would write it.
fn content(authority: &Certified) -> Value {
    json!({ "stringData": {
        "tls.crt": authority.certificate, "tls.key": authority.key, "ca.crt": authority.certificate,
    } })
}

async fn give(world: &World, authority: &Certified) {
    let mut object = content(authority);
    object["metadata"] = json!({ "name": "company-ca" });
    object["type"] = json!("kubernetes.io/tls");
    let object: Secret = serde_json::from_value(object).unwrap();
    let secrets = world.api::<Secret>();
    secrets
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
}

async fn replace(world: &World, content: &Value) {
    let params = PatchParams::default();
    let secrets = world.api::<Secret>();
    let patch = Patch::Merge(content);
    secrets.patch("company-ca", &params, &patch).await.unwrap();
}

/// Lets pods trust this authority alone.
async fn hand_out(world: &World, certificate: &str) {
    let patch = Patch::Merge(json!({ "data": { "ca.crt": certificate } }));
    let params = PatchParams::default();
    let maps = world.api::<ConfigMap>();
    maps.patch("demo-ca", &params, &patch).await.unwrap();
}

/// The version of the given Secret, which changes with every write.
async fn version(world: &World) -> Option<String> {
    let given = world.api::<Secret>().get("company-ca").await.unwrap();
    given.resource_version()
}

/// What the status says of the authority.
async fn purpose(world: &World) -> String {
    let credentials = world.status().await.credentials;
    let held = credentials.into_iter().find(|one| one.secret == "demo-ca");
    held.unwrap().purpose
}

#[tokio::test]
async fn a_given_authority_signs_and_is_followed_when_it_is_renewed() {
    let Some(world) = World::new("given-authority", &spec(), Answering).await else {
        return;
    };
    world.pass().await.unwrap_err();
    let (_, reason, message) = world.condition("Stalled").await;
    assert_eq!(reason, "SecretNotFound");
    assert!(message.contains(FIELD), "{message}");

    let first = made();
    give(&world, &first).await;
    let untouched = version(&world).await;
    world.pass().await.unwrap();
    assert_eq!(bundle(&world).await, first.certificate);
    let held = secret(&world, "demo-ca").await;
    assert_eq!((&held["tls.crt"], held.len()), (&first.certificate, 2));
    let gateway = secret(&world, "demo-gateway-tls").await;
    assert_eq!(gateway["ca.crt"], first.certificate);
    assert!(
        purpose(&world)
            .await
            .ends_with("given in Secret company-ca")
    );
    world.pass().await.unwrap();
    assert_eq!(secret(&world, "demo-ca").await, held, "nothing changed");
    assert_eq!(version(&world).await, untouched);

    let second = made();
    replace(&world, &content(&second)).await;
    let untouched = version(&world).await;
    world.pass().await.unwrap();
    let both = [first.certificate.as_str(), &second.certificate].concat();
    assert_eq!(bundle(&world).await, both);
    let prepared = secret(&world, "demo-ca").await;
    assert_eq!(prepared["tls.crt"], first.certificate, "for a week");
    assert_eq!(prepared["next.crt"], second.certificate);
    world.pass().await.unwrap();
    assert_eq!(secret(&world, "demo-ca").await, prepared);
    assert!(purpose(&world).await.contains("the next one signs from"));

    // A week later, but pods are not handed it.
    say(&world, "demo-ca", "next-since", -8).await;
    hand_out(&world, &first.certificate).await;
    world.pass().await.unwrap();
    let held = secret(&world, "demo-ca").await;
    assert_eq!(held["tls.crt"], first.certificate);
    assert_eq!(bundle(&world).await, both);
    world.pass().await.unwrap();
    let promoted = secret(&world, "demo-ca").await;
    assert_eq!(promoted["tls.crt"], second.certificate);
    assert_eq!(promoted["previous.crt"], first.certificate);
    assert_eq!(promoted.len(), 3, "{:?}", promoted.keys());
    assert_eq!(bundle(&world).await, both);
    assert_eq!(secret(&world, "demo-gateway-tls").await, gateway);

    say(&world, "demo-ca", "previous-not-after", -1).await;
    world.pass().await.unwrap();
    assert_eq!(bundle(&world).await, second.certificate);
    let gateway = secret(&world, "demo-gateway-tls").await;
    assert_eq!(gateway["ca.crt"], second.certificate);
    assert_eq!(version(&world).await, untouched);
}

#[tokio::test]
async fn the_operators_own_authority_and_a_given_one_take_over_from_each_other() {
    let Some(world) = World::demo("taken-over").await else {
        return;
    };
    world.pass().await.unwrap();
    let own = secret(&world, "demo-ca").await["tls.crt"].clone();
    let given = made();
    give(&world, &given).await;

    world.change(&spec()).await;
    world.pass().await.unwrap();
    let both = [own.as_str(), &given.certificate].concat();
    assert_eq!(bundle(&world).await, both);
    assert_eq!(secret(&world, "demo-ca").await["tls.crt"], own);

    // It had not signed anything yet.
    let without = json!({ "tls": { "authoritySecretName": null } });
    world.change(&without).await;
    world.pass().await.unwrap();
    assert_eq!(bundle(&world).await, own);
    assert_eq!(secret(&world, "demo-ca").await.len(), 2);

    world.change(&spec()).await;
    world.pass().await.unwrap();
    say(&world, "demo-ca", "next-since", -8).await;
    world.pass().await.unwrap();
    assert_eq!(
        secret(&world, "demo-ca").await["tls.crt"],
        given.certificate
    );
    assert_eq!(bundle(&world).await, both);

    // Back, while certificates of the first one may still be there.
    world.change(&without).await;
    world.pass().await.unwrap();
    let held = secret(&world, "demo-ca").await;
    assert_eq!(held["tls.crt"], given.certificate);
    assert_ne!(held["next.crt"], own, "its key is gone");
    let three = [both.as_str(), &held["next.crt"]].concat();
    assert_eq!(bundle(&world).await, three);
    say(&world, "demo-ca", "next-since", -8).await;
    world.pass().await.unwrap();
    assert_eq!(secret(&world, "demo-ca").await["previous.crt"], both);
    assert_eq!(bundle(&world).await, three);
    world.pass().await.unwrap();
    assert!(purpose(&world).await.ends_with("inside the platform"));
}

#[tokio::test]
async fn an_authority_that_cannot_sign_is_a_condition_that_heals() {
    let Some(world) = World::new("bad-authority", &spec(), Answering).await else {
        return;
    };
    let good = made();
    give(&world, &good).await;
    replace(&world, &json!({ "stringData": { "tls.key": made().key } })).await;
    world.pass().await.unwrap_err();
    let (_, reason, message) = world.condition("Stalled").await;
    assert_eq!(reason, "InvalidSpec");
    let fix = "Secret company-ca: tls.key is not the key of the first certificate";
    assert!(
        message.contains(FIELD) && message.contains(fix),
        "{message}"
    );
    let nothing = world.api::<Secret>().get_opt("demo-ca").await.unwrap();
    assert!(nothing.is_none(), "nothing is made of it");

    replace(&world, &content(&good)).await;
    world.pass().await.unwrap();
    assert_eq!(bundle(&world).await, good.certificate);
}
