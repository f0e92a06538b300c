//! A resource that a newer version has written, in a way that this one cannot read.

use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use lotoai_api::LotoAI;
use lotoai_operator::error::ErrorClass;
use serde_json::{Value, json};

use crate::platform::install_crd;
use crate::server::ApiServer;
use crate::world::{Answering, DEADLINE, World, wait_for};

/// Lets the definition take any profile, as a newer one might, and waits until it does.
async fn take_any_profile(world: &World) {
    let mut definition = json!(LotoAI::crd());
    let profile = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/profile";
    let profile = definition.pointer_mut(profile).expect("the profile");
    profile.as_object_mut().unwrap().remove("enum").unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let params = PatchParams::apply("tests").force();
    definitions
        .patch("lotoais.lotoai.dev", &params, &Patch::Apply(&definition))
        .await
        .unwrap();
    wait_for("any profile is taken", DEADLINE, async || {
        let patch = Patch::Merge(json!({ "spec": { "profile": "Huge" } }));
        let params = PatchParams::default();
        raw(world).patch("demo", &params, &patch).await.is_ok()
    })
    .await;
}

/// The resources as they are stored.
fn raw(world: &World) -> Api<DynamicObject> {
    world.dynamic(&ApiResource::erase::<LotoAI>(&()))
}

async fn status(world: &World) -> Value {
    raw(world).get("demo").await.unwrap().data["status"].clone()
}

/// A pass over what cannot be read.
async fn refused(world: &World) {
    let error = world.pass().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::User, "{error}");
    assert_eq!(error.reason(), "ReadResource");
}

#[tokio::test]
async fn a_resource_that_cannot_be_read_is_not_called_ready() {
    let Some(server) = ApiServer::start() else {
        return;
    };
    let spec = json!({ "url": "https://lotoai.localhost" });
    let world = World::on(&server, "unread", &spec, Answering).await;
    world.settle().await;
    let before = status(&world).await;
    take_any_profile(&world).await;
    refused(&world).await;

    let after = status(&world).await;
    let generation = raw(&world).get("demo").await.unwrap().metadata.generation;
    let conditions = after["conditions"].as_array().unwrap();
    let told: Vec<_> = conditions
        .iter()
        .map(|condition| {
            let message = condition["message"].as_str().unwrap();
            assert!(
                message.contains("Huge") && message.contains("upgrade the operator"),
                "{message}"
            );
            assert_eq!(condition["observedGeneration"], json!(generation));
            (
                &condition["type"],
                &condition["status"],
                &condition["reason"],
            )
        })
        .collect();
    let texts = ["Ready", "Unknown", "InvalidSpec", "Stalled", "True"].map(|text| json!(text));
    let [ready, unknown, reason, stalled, yes] = &texts;
    assert_eq!(told, [(ready, unknown, reason), (stalled, yes, reason)]);
    let others = |status: &Value| {
        let mut status = status.as_object().unwrap().clone();
        status.remove("conditions");
        status.remove("observedGeneration");
        status
    };
    assert!(others(&after).len() > 4, "{after}");
    assert_eq!(others(&after), others(&before));
    let events = world.api::<Event>().list(&ListParams::default()).await;
    let mut events = events.unwrap().into_iter();
    assert!(events.any(|event| event.reason.as_deref() == Some("ReadResource")));

    // A pass with nothing new to tell writes nothing.
    let version = async || {
        raw(&world)
            .get("demo")
            .await
            .unwrap()
            .metadata
            .resource_version
    };
    let told = version().await;
    refused(&world).await;
    assert_eq!(version().await, told);

    // The definition of before takes no such profile any more, and still the status is written.
    install_crd(&world.client).await;
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "team": "ai" } } }));
    let params = PatchParams::default();
    raw(&world).patch("demo", &params, &patch).await.unwrap();
    let forgotten = Patch::Merge(json!({ "status": { "conditions": null } }));
    raw(&world)
        .patch_status("demo", &params, &forgotten)
        .await
        .unwrap();
    refused(&world).await;
    let again = status(&world).await;
    assert_eq!(again["conditions"][1]["type"], "Stalled", "{again}");

    world.change(&json!({ "profile": "Demo" })).await;
    world.settle().await;
    let status = world.status().await;
    assert!(status.condition("Stalled").is_none(), "{status:?}");
}
