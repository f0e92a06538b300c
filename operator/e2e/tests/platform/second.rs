//! A second platform beside the first, on the first one's stores: several resources in a namespace,
//! and external PostgreSQL, RabbitMQ, ClickHouse and S3 that are real.

use std::time::Duration;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use lotoai_e2e::Platform;
use serde_json::{Value, json};

use crate::support::{NAME, NAMESPACE, condition, ready, run, wait_for};

const SECOND: &str = "second";
/// It starts a second Keycloak on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(360);
const GONE_LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_second_platform_runs_on_stores_that_are_there_already() {
    run(|| async {
        let (platform, client) = ready().await;
        remove(&platform).await;
        let policies: Api<NetworkPolicy> = Api::namespaced(platform.kube.clone(), NAMESPACE);
        policies
            .create(&PostParams::default(), &invitation())
            .await
            .unwrap();
        let created = platform
            .resources()
            .create(&PostParams::default(), &second())
            .await;
        created.unwrap();

        let object = wait_second_ready(&platform).await;
        let components = object["status"]["components"].as_array().unwrap();
        let mut external: Vec<&str> = components
            .iter()
            .filter(|component| component["mode"] == "External")
            .filter_map(|component| component["name"].as_str())
            .collect();
        external.sort_unstable();
        assert_eq!(external, ["clickhouse", "minio", "postgres", "rabbitmq"]);
        assert_eq!(object["status"]["componentsReady"], "10/10");
        // The first one went on as if nothing had happened.
        let first = platform.resources().get(NAME).await.unwrap();
        let first = serde_json::to_value(&first).unwrap();
        assert_eq!(condition(&first, "Ready"), "True");
        client.ask("lotoai", "Who are you?").await.unwrap();

        remove(&platform).await;
    });
}

/// The first platform's stores let in its own pods only.
fn invitation() -> NetworkPolicy {
    let policy = json!({
        "metadata": { "name": SECOND },
        "spec": {
            "podSelector": {
                "matchLabels": { "app.kubernetes.io/instance": NAME },
                "matchExpressions": [{
                    "key": "app.kubernetes.io/name",
                    "operator": "In",
                    "values": ["clickhouse", "minio", "postgres", "rabbitmq"],
                }],
            },
            "policyTypes": ["Ingress"],
            "ingress": [{ "from": [{ "podSelector": {
                "matchLabels": { "app.kubernetes.io/instance": SECOND },
            } }] }],
        },
    });
    serde_json::from_value(policy).unwrap()
}

fn second() -> DynamicObject {
    let admin = |store: &str| format!("{NAME}-{store}-admin");
    let host = |component: &str| format!("{NAME}-{component}");
    // Beside its certificate lies who signed it.
    let authority = |component: &str| format!("{NAME}-{component}-tls");
    let object = json!({
        "apiVersion": "lotoai.dev/v1alpha1",
        "kind": "LotoAI",
        "metadata": { "name": SECOND },
        "spec": {
            "url": "https://second.localhost",
            "deletionPolicy": "Delete",
            "data": {
                "postgres": { "external": {
                    "url": format!("postgres://{}:5432", host("postgres")),
                    "caSecretName": authority("postgres"),
                    "adminSecretName": admin("postgres"),
                } },
                "clickhouse": { "external": {
                    "url": format!("https://{}:8443", host("clickhouse")),
                    "caSecretName": authority("clickhouse"),
                    "adminSecretName": admin("clickhouse"),
                } },
                "objectStorage": { "external": {
                    "url": format!("https://{}:9000", host("minio")),
                    "caSecretName": authority("minio"),
                    "bucket": "second",
                    "credentialsSecretName": admin("minio"),
                } },
            },
            "messaging": { "rabbitmq": { "external": {
                "url": format!("amqps://{}:5671", host("rabbitmq")),
                "managementURL": format!("https://{}:15671", host("rabbitmq")),
                "caSecretName": authority("rabbitmq"),
                "adminSecretName": admin("rabbitmq"),
            } } },
        },
    });
    serde_json::from_value(object).unwrap()
}

async fn wait_second_ready(platform: &Platform) -> Value {
    let resources = platform.resources();
    wait_for("the second platform to be Ready", READY_LIMIT, async || {
        let object = resources.get(SECOND).await;
        let object = object.map_err(|error| error.to_string())?;
        let object = serde_json::to_value(&object).map_err(|error| error.to_string())?;
        match condition(&object, "Ready").as_str() {
            "True" => Ok(object),
            _ => Err(object["status"].to_string()),
        }
    })
    .await
}

/// Removes the second platform and its invitation, also those of a run that was cut off.
async fn remove(platform: &Platform) {
    let policies: Api<NetworkPolicy> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let resources = platform.resources();
    wait_for("the second platform to be gone", GONE_LIMIT, async || {
        let parameters = DeleteParams::default();
        let invitation = policies.delete(SECOND, &parameters).await.err();
        let object = resources.delete(SECOND, &parameters).await.err();
        let is_gone = |error: Option<kube::Error>| match error {
            Some(kube::Error::Api(status)) if status.code == 404 => true,
            Some(_) | None => false,
        };
        if is_gone(invitation) & is_gone(object) {
            Ok(())
        } else {
            Err("it is still there".to_owned())
        }
    })
    .await;
}
