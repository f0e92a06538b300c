//! What a real API server says about resources: what it takes, and what it refuses with which fix.

use crate::{platform, server};
use kube::api::ApiResource;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use lotoai_api::LotoAI;
use serde_json::{Value, json};

pub(crate) async fn lotos(client: &Client, namespace: &str) -> Api<DynamicObject> {
    platform::install_crd(client).await;
    platform::namespace(client, namespace).await;
    Api::namespaced_with(
        client.clone(),
        namespace,
        &ApiResource::erase::<LotoAI>(&()),
    )
}

pub(crate) fn resource(name: &str, spec: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1",
        "kind": "LotoAI",
        "metadata": { "name": name },
        "spec": spec,
    }))
    .unwrap()
}

#[tokio::test]
async fn unknown_fields_are_refused() {
    let Some(server) = server::shared() else {
        return;
    };
    let api = lotos(&server.client(), "unknown").await;
    let object = resource(
        "a",
        &json!({ "url": "https://a.example", "urll": "https://b.example" }),
    );
    let params = PatchParams::apply("tests").validation_strict();
    let error = api
        .patch("a", &params, &Patch::Apply(&object))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains(".spec.urll: field not declared in schema"),
        "{error}"
    );
}

#[tokio::test]
async fn a_volume_is_fixed_once_it_exists() {
    let Some(server) = server::shared() else {
        return;
    };
    let api = lotos(&server.client(), "fixed").await;
    let spec = |size: &str| json!({ "url": "https://a.example", "data": { "postgres": { "storage": { "size": size } } } });
    let created = api
        .create(&PostParams::default(), &resource("a", &spec("5Gi")))
        .await
        .unwrap();
    let mut grown = resource("a", &spec("6Gi"));
    grown.metadata.resource_version = created.resource_version();
    let refusal = api
        .replace("a", &PostParams::default(), &grown)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refusal.contains("storage.size is fixed once the volume exists"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_new_resource_is_not_ready_before_the_operator_has_looked() {
    let Some(server) = server::shared() else {
        return;
    };
    let client = server.client();
    lotos(&client, "new").await;
    let api: Api<LotoAI> = Api::namespaced(client, "new");
    let spec = json!({ "url": "https://a.example" });
    let loto: LotoAI = serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": { "name": "a" }, "spec": spec,
    }))
    .unwrap();
    api.create(&PostParams::default(), &loto).await.unwrap();
    let status = api
        .get("a")
        .await
        .unwrap()
        .status
        .expect("a default status");
    let ready = status.condition("Ready").expect("a Ready condition");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("Unknown", "Pending")
    );
}

#[tokio::test]
async fn the_samples_are_accepted() {
    let Some(server) = server::shared() else {
        return;
    };
    let api = lotos(&server.client(), "samples").await;
    for sample in platform::samples() {
        let text = std::fs::read_to_string(&sample).unwrap();
        let object: DynamicObject = serde_yaml_ng::from_str(&text).unwrap();
        api.create(&PostParams::default(), &object)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", sample.display()));
        api.delete(&object.name_any(), &DeleteParams::default())
            .await
            .unwrap();
    }
}
