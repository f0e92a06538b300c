//! What the operator writes of other projects' kinds, held against the definitions that those
//! projects publish. Their Go modules, which `local/go/definitions` pins, hold them.

use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt};
use lotoai_testing::module;
use rstest::rstest;
use serde_json::{Value, json};

use crate::planned::{NAMESPACE, planned};
use crate::platform;
use crate::server::ApiServer;
use crate::world::DEADLINE;

pub(crate) async fn install(client: &Client, definition: &Path) {
    let text = std::fs::read_to_string(definition).unwrap();
    let definition: DynamicObject = serde_yaml_ng::from_str(&text).unwrap();
    let kind = ApiResource::erase::<CustomResourceDefinition>(&());
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let params = PostParams::default();
    api.create(&params, &definition).await.unwrap();
    let name = definition.name_any();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let established = await_condition(api, &name, conditions::is_crd_established());
    tokio::time::timeout(DEADLINE, established)
        .await
        .expect("the definition is established in time")
        .unwrap();
}

pub(crate) fn routes() -> Value {
    json!({
        "gatewayAPI": { "parentRefs": [
            { "name": "public", "namespace": "infra", "sectionName": "https" },
            { "name": "internal" },
        ] },
        "fromNamespaces": { "kubernetes.io/metadata.name": "infra" },
    })
}

pub(crate) fn certificate() -> Value {
    let issuer = json!({ "name": "letsencrypt", "kind": "ClusterIssuer" });
    json!({ "tls": { "certManager": { "issuerRef": issuer } } })
}

#[rstest]
#[case::gateway_api(
    routes(),
    "sigs.k8s.io/gateway-api",
    "config/crd/standard/gateway.networking.k8s.io",
    &[("HTTPRoute", "httproutes"), ("BackendTLSPolicy", "backendtlspolicies")]
)]
#[case::cert_manager(
    certificate(),
    "github.com/cert-manager/cert-manager",
    "deploy/crds/cert-manager.io",
    &[("Certificate", "certificates")]
)]
#[tokio::test]
async fn other_projects_take_what_is_written_of_their_kinds(
    #[case] edge: Value,
    #[case] name: &str,
    #[case] below: &str,
    #[case] kinds: &[(&str, &str)],
) {
    let Some(module) = module(name) else {
        return;
    };
    // One of its own: other tests need a cluster without these kinds.
    let Some(server) = ApiServer::start() else {
        return;
    };
    let client = server.client();
    platform::namespace(&client, NAMESPACE).await;
    let objects = planned(&json!({ "url": "https://ai.example.com", "edge": edge })).objects();
    for (kind, plural) in kinds {
        install(&client, &module.join(format!("{below}_{plural}.yaml"))).await;
        let of_kind = objects
            .iter()
            .filter(|object| object.resource.kind == *kind);
        let mut tried = 0;
        for object in of_kind {
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), NAMESPACE, &object.resource);
            let params = PatchParams::apply("tests").validation_strict();
            let apply = async |body: &Value| {
                let body = Patch::Apply(body);
                api.patch(&object.name, &params, &body).await
            };
            let mut wrong = object.body.clone();
            wrong["spec"]["unheardOf"] = json!(true);
            let refusal = apply(&wrong).await.unwrap_err().to_string();
            assert!(refusal.contains("unheardOf"), "{refusal}");
            apply(&object.body)
                .await
                .unwrap_or_else(|error| panic!("{kind}/{}: {error}", object.name));
            tried += 1;
        }
        assert!(tried > 0, "no {kind}");
    }
}
