//! A store that another operator runs; the test plays that operator.

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt};
use lotoai_api::Mode;
use lotoai_plan::kinds::Cluster;
use serde_json::{Value, json};

use crate::world::{Answering, DEADLINE, World};

const DEFINITION: &str = "clusters.postgresql.cnpg.io";

/// The kind as far as the platform sees it: any fields, and a status of its own.
pub(crate) async fn install_definition(client: &Client) {
    let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": DEFINITION },
        "spec": {
            "group": "postgresql.cnpg.io", "scope": "Namespaced",
            "names": { "kind": "Cluster", "plural": "clusters", "singular": "cluster" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": anything, "status": anything },
                } },
            }],
        },
    });
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply("tests").force();
    api.patch(DEFINITION, &params, &Patch::Apply(&definition))
        .await
        .unwrap();
    let established = await_condition(api, DEFINITION, conditions::is_crd_established());
    tokio::time::timeout(DEADLINE, established)
        .await
        .expect("the definition is established in time")
        .unwrap();
}

fn asked(kind: &Value) -> Value {
    json!({ "url": "https://lotoai.localhost", "data": { "postgres": kind } })
}

impl World {
    async fn cluster(&self) -> Cluster {
        self.api().get("demo-postgres").await.unwrap()
    }

    /// What CloudNativePG would write.
    async fn say(&self, status: Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        self.api::<Cluster>()
            .patch_status("demo-postgres", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn make_secret(&self, name: &str, values: &[(&str, &str)]) {
        let data = values
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        let mut secret = Secret {
            data: Some(data.collect()),
            ..Secret::default()
        };
        secret.metadata.name = Some(name.to_owned());
        self.api::<Secret>()
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
    }

    /// Whether the Job is there that makes accounts in PostgreSQL.
    async fn is_provisioned(&self) -> bool {
        let jobs = self
            .api::<Job>()
            .list(&ListParams::default())
            .await
            .unwrap();
        jobs.iter()
            .any(|job| job.name_any().starts_with("demo-provision-postgres-"))
    }
}

#[tokio::test]
async fn a_delegated_store_is_asked_for_waited_for_and_kept() {
    let spec = asked(&json!({ "delegated": {} }));
    let Some(world) = World::new("delegated", &spec, Answering).await else {
        return;
    };
    world.pass().await.unwrap_err();
    let (_, reason, message) = world.condition("Stalled").await;
    assert_eq!(reason, "DependencyMissing");
    assert!(message.contains("install CloudNativePG"), "{message}");

    install_definition(&world.client).await;
    world.pass().await.unwrap();
    let cluster = world.cluster().await;
    assert_eq!(cluster.spec["instances"], 1);
    assert!(cluster.owner_references().is_empty(), "it must be kept");
    // What this pass made is seen by the next one.
    world.pass().await.unwrap();
    let (_, reason, message) = world.condition("Ready").await;
    assert_eq!(reason, "StoreNotReady");
    assert!(message.contains("does it run"), "{message}");

    world.say(json!({ "phase": "Setting up primary" })).await;
    world.pass().await.unwrap();
    let (_, _, message) = world.condition("Ready").await;
    assert!(message.contains("Setting up primary"), "{message}");

    world
        .say(json!({
            "phase": "Cluster in healthy state", "readyInstances": 1,
            "conditions": [{ "type": "Ready", "status": "True" }],
        }))
        .await;
    let account = [("username", "postgres"), ("password", "made-by-another")];
    world.make_secret("demo-postgres-superuser", &account).await;
    world.pass().await.unwrap();
    assert!(
        !world.is_provisioned().await,
        "the authority is not there yet"
    );
    world
        .make_secret("demo-postgres-ca", &[("ca.crt", "pem")])
        .await;
    world.pass().await.unwrap();
    assert!(world.is_provisioned().await);

    world.settle().await;
    let status = world.status().await;
    let postgres = &status.components[0];
    assert_eq!(
        (postgres.mode, postgres.ready.as_str()),
        (Mode::Delegated, "1/1")
    );
    assert_eq!(status.components_ready.as_deref(), Some("14/14"));
    let own = world.api::<StatefulSet>().get_opt("demo-postgres").await;
    assert!(own.unwrap().is_none());
    let mut made = status.credentials.iter();
    assert!(!made.any(|made| made.secret == "demo-postgres-superuser"));

    keeps(&world).await;
}

/// What the other operator adds stays, the owner follows the deletion policy, and without an owner
/// the object is still the platform's.
async fn keeps(world: &World) {
    let own = Patch::Merge(json!({ "spec": { "logLevel": "info" } }));
    world
        .api::<Cluster>()
        .patch("demo-postgres", &PatchParams::default(), &own)
        .await
        .unwrap();
    for (policy, owners) in [("Delete", 1), ("Retain", 0)] {
        world.change(&json!({ "deletionPolicy": policy })).await;
        world.pass().await.unwrap();
        let cluster = world.cluster().await;
        assert_eq!(cluster.owner_references().len(), owners, "{policy}");
        assert_eq!(cluster.spec["logLevel"], "info");
    }
    let more = json!({ "data": { "postgres": { "delegated": { "instances": 3 } } } });
    world.change(&more).await;
    world.pass().await.unwrap();
    assert_eq!(world.cluster().await.spec["instances"], 3);
}
