//! What a real API server says about resources: what it takes, and what it refuses with which fix.

use crate::{platform, server};
use kube::api::ApiResource;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use lotoai_api::LotoAI;
use serde_json::{Value, json};

async fn lotos(client: &Client, namespace: &str) -> Api<DynamicObject> {
    platform::install_crd(client).await;
    platform::namespace(client, namespace).await;
    Api::namespaced_with(
        client.clone(),
        namespace,
        &ApiResource::erase::<LotoAI>(&()),
    )
}

fn resource(name: &str, spec: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1",
        "kind": "LotoAI",
        "metadata": { "name": name },
        "spec": spec,
    }))
    .unwrap()
}

/// Each entry: what is wrong, name, spec, and a text of the fix that the refusal must hold.
fn broken() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let url = "https://lotoai.localhost";
    vec![
        ("no url", "a", json!({}), "spec.url: Required value"),
        (
            "http",
            "a",
            json!({ "url": "http://lotoai.localhost" }),
            "url must be https://",
        ),
        (
            "a path",
            "a",
            json!({ "url": "https://a.example/x" }),
            "without a path",
        ),
        (
            "upper case",
            "a",
            json!({ "url": "https://A.example" }),
            "lower-case host",
        ),
        (
            "profile",
            "a",
            json!({ "url": url, "profile": "Huge" }),
            "supported values: \"Demo\"",
        ),
        (
            "a name that is too long",
            "abcdefghijklmnopqrstuvwxyzabcdefgh",
            json!({ "url": url }),
            "at most 30 characters",
        ),
        (
            "a name with a dot",
            "a.b",
            json!({ "url": url }),
            "lower-case letters, digits and dashes",
        ),
        (
            "a provider without key",
            "a",
            json!({ "url": url, "agents": { "providers": [{ "name": "openai", "kind": "OpenAI" }] } }),
            "needs apiKeySecretRef",
        ),
        (
            "a compatible provider without address",
            "a",
            json!({ "url": url, "agents": { "providers": [{ "name": "x", "kind": "OpenAICompatible" }] } }),
            "needs baseURL",
        ),
        (
            "a role with an unknown provider",
            "a",
            json!({ "url": url, "agents": { "roles": [{
                "name": "r", "description": "d", "prompt": "p",
                "models": [{ "provider": "nobody", "model": "m" }],
            }] } }),
            "must name a provider of agents.providers, or local",
        ),
        (
            "a provider named local",
            "a",
            json!({ "url": url, "agents": { "providers": [
                { "name": "local", "kind": "OpenAICompatible", "baseURL": "http://x:1/v1" },
            ] } }),
            "may not be named local",
        ),
        (
            "a tool that does nothing",
            "a",
            json!({ "url": url, "mcp": { "tools": [{ "name": "t", "description": "d" }] } }),
            "exactly one of http and script",
        ),
        (
            "a node port without NodePort",
            "a",
            json!({ "url": url, "edge": { "service": { "httpsNodePort": 30443 } } }),
            "needs edge.service.type NodePort",
        ),
        (
            "an unknown component",
            "a",
            json!({ "url": url, "components": { "mailer": {} } }),
            "must be a component",
        ),
        (
            "an image without version",
            "a",
            json!({ "url": url, "images": { "overrides": { "gateway": "a.example/gateway" } } }),
            "needs a tag other than latest",
        ),
        (
            "an overlap as long as the chunk",
            "a",
            json!({ "url": url, "rag": { "chunk": { "maxCharacters": 300, "overlapCharacters": 299 } } }),
            "at most half",
        ),
        (
            "a size without unit",
            "a",
            json!({ "url": url, "data": { "postgres": { "storage": { "size": "5" } } } }),
            "spec.data.postgres.storage.size",
        ),
    ]
}

#[tokio::test]
async fn broken_resources_are_refused_with_the_fix() {
    let Some(server) = server::shared() else {
        return;
    };
    let api = lotos(&server.client(), "broken").await;
    for (what, name, spec, fix) in broken() {
        let refusal = match api
            .create(&PostParams::default(), &resource(name, &spec))
            .await
        {
            Ok(_) => panic!("{what}: accepted"),
            Err(kube::Error::Api(refusal)) => refusal,
            Err(error) => panic!("{what}: {error}"),
        };
        assert_eq!(refusal.code, 422, "{what}: {}", refusal.message);
        assert!(
            refusal.message.contains(fix),
            "{what}: {:?} is not in {}",
            fix,
            refusal.message
        );
    }
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
