//! Another platform beside the first one, on the first one's stores.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use lotoai_e2e::Platform;
use lotoai_plan::labels;
use serde_json::{Value, json};

use crate::database::Database;
use crate::inside::Inside;
use crate::support::{NAME, NAMESPACE, condition, wait_for};

const GONE_LIMIT: Duration = Duration::from_secs(180);

/// The stores of the first one that another one can do with.
pub(crate) const STORES: [&str; 4] = ["clickhouse", "minio", "postgres", "rabbitmq"];

/// The host of a store, and the names of the Secrets with its administrator and with who signed its
/// certificate.
fn store(component: &str) -> (String, String, String) {
    (
        format!("{NAME}-{component}.{NAMESPACE}.svc"),
        format!("{NAME}-{component}-admin"),
        format!("{NAME}-{component}-tls"),
    )
}

/// The Secrets that a platform in another namespace needs a copy of.
pub(crate) fn secrets_of_stores() -> Vec<String> {
    let names = STORES.iter().flat_map(|component| {
        let (_, admin, authority) = store(component);
        [admin, authority]
    });
    names.collect()
}

/// A platform of this name on all of them.
pub(crate) fn on_the_first_ones_stores(name: &str) -> Value {
    json!({
        "url": format!("https://{name}.localhost"),
        "deletionPolicy": "Delete",
        "data": {
            "postgres": postgres(),
            "clickhouse": clickhouse(),
            "objectStorage": object_storage(name),
        },
        "messaging": { "rabbitmq": rabbitmq() },
    })
}

/// The first platform's PostgreSQL, for `data.postgres`.
pub(crate) fn postgres() -> Value {
    let (host, admin, authority) = store("postgres");
    json!({ "external": {
        "url": format!("postgres://{host}:5432"),
        "caSecretName": authority,
        "adminSecretName": admin,
    } })
}

/// Its ClickHouse, for `data.clickhouse`.
pub(crate) fn clickhouse() -> Value {
    let (host, admin, authority) = store("clickhouse");
    json!({ "external": {
        "url": format!("https://{host}:8443"),
        "caSecretName": authority,
        "adminSecretName": admin,
    } })
}

/// Its object store, for `data.objectStorage`.
fn object_storage(bucket: &str) -> Value {
    let (host, admin, authority) = store("minio");
    json!({ "external": {
        "url": format!("https://{host}:9000"),
        "caSecretName": authority,
        "bucket": bucket,
        "credentialsSecretName": admin,
    } })
}

/// Its message broker, for `messaging.rabbitmq`.
fn rabbitmq() -> Value {
    let (host, admin, authority) = store("rabbitmq");
    json!({ "external": {
        "url": format!("amqps://{host}:5671"),
        "managementURL": format!("https://{host}:15671"),
        "caSecretName": authority,
        "adminSecretName": admin,
    } })
}

/// Makes a platform of this name and spec in the namespace of `platform`, which may use these stores
/// of the first one.
pub(crate) async fn make(platform: &Platform, name: &str, stores: &[&str], spec: &Value) {
    invite(platform, name, stores).await;
    let object: DynamicObject = serde_json::from_value(object(name, spec)).unwrap();
    let resources = platform.resources();
    let parameters = PostParams::default();
    resources.create(&parameters, &object).await.unwrap();
}

/// The resource of a platform.
pub(crate) fn object(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "lotoai.dev/v1alpha1",
        "kind": "LotoAI",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// Lets the pods of the platform of this name in to these stores of the first one, which let in its
/// own pods only.
pub(crate) async fn invite(platform: &Platform, name: &str, stores: &[&str]) {
    let policies: Api<NetworkPolicy> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let invitation = invitation(name, &platform.namespace, stores);
    let parameters = PostParams::default();
    policies.create(&parameters, &invitation).await.unwrap();
}

fn invitation(name: &str, namespace: &str, stores: &[&str]) -> NetworkPolicy {
    let policy = json!({
        "metadata": { "name": name },
        "spec": {
            "podSelector": {
                "matchLabels": { "app.kubernetes.io/instance": NAME },
                "matchExpressions": [{
                    "key": "app.kubernetes.io/name", "operator": "In", "values": stores,
                }],
            },
            "policyTypes": ["Ingress"],
            "ingress": [{ "from": [{
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } },
                "podSelector": { "matchLabels": { "app.kubernetes.io/instance": name } },
            }] }],
        },
    });
    serde_json::from_value(policy).unwrap()
}

/// Waits until the platform of this name is Ready; its resource then.
pub(crate) async fn wait_ready(platform: &Platform, name: &str, limit: Duration) -> Value {
    let resources = platform.resources();
    wait_for(&format!("{name} to be Ready"), limit, async || {
        let object = resources.get(name).await;
        let object = object.map_err(|error| error.to_string())?;
        let object = serde_json::to_value(&object).map_err(|error| error.to_string())?;
        match condition(&object, "Ready").as_str() {
            "True" => Ok(object),
            _ => Err(object["status"].to_string()),
        }
    })
    .await
}

/// Removes the platform of this name and its invitation, also those of a run that was cut off, waits
/// until no pod of it takes anything of the machine, and drops what it had in the first one's databases.
pub(crate) async fn remove(platform: &Platform, name: &str) {
    let policies: Api<NetworkPolicy> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let resources = platform.resources();
    wait_for(&format!("{name} to be gone"), GONE_LIMIT, async || {
        let parameters = DeleteParams::default();
        let invitation = policies.delete(name, &parameters).await.err();
        let object = resources.delete(name, &parameters).await.err();
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
    let pods: Api<Pod> = Api::namespaced(platform.kube.clone(), &platform.namespace);
    let ours = ListParams::default().labels(&format!("{}={name}", labels::INSTANCE));
    let what = format!("the pods of {name} to end");
    wait_for(&what, GONE_LIMIT, async || {
        let left = pods.list(&ours).await.map_err(|error| error.to_string())?;
        match left.items.len() {
            0 => Ok(()),
            count => Err(format!("{count} pods")),
        }
    })
    .await;
    drop_what_it_left(platform, name).await;
}

/// Drops the databases and the accounts of the platform of this name in the first one's PostgreSQL and
/// ClickHouse, where those are within reach. No platform does so in a store that is not its own, and the
/// next one of this name would find a Keycloak there that knows other passwords.
async fn drop_what_it_left(platform: &Platform, name: &str) {
    let Some(postgres) = Database::of_administrator(platform).await else {
        return;
    };
    for (kind, list, how) in [
        (
            "DATABASE",
            "SELECT datname FROM pg_database",
            " WITH (FORCE)",
        ),
        ("ROLE", "SELECT rolname FROM pg_roles", ""),
    ] {
        let all = postgres.run(list);
        for left in beginning_with(&format!("{name}-"), &all) {
            postgres.run(&format!("DROP {kind} \"{left}\"{how}"));
        }
    }
    let Some(inside) = Inside::of(platform, "clickhouse").await else {
        return;
    };
    let ask = async |statement: String| {
        let told = crate::clickhouse::ask(platform, &inside, "clickhouse-admin", statement).await;
        assert_eq!(told.status, 200, "{}", told.text);
        told.text
    };
    for (kind, how) in [("DATABASE", " SYNC"), ("USER", "")] {
        let all = ask(format!("SHOW {kind}S")).await;
        for left in beginning_with(&format!("{}_", name.replace('-', "_")), &all) {
            ask(format!("DROP {kind} {left}{how}")).await;
        }
    }
}

/// Those of some names, one on a line, that begin with this.
fn beginning_with(beginning: &str, names: &str) -> Vec<String> {
    let names = names.lines().map(str::trim);
    let ours = names.filter(|name| name.starts_with(beginning));
    ours.map(str::to_owned).collect()
}

#[test]
fn what_belongs_to_others_is_not_dropped() {
    let all = "postgres\ngateway\nha-gateway\n ha-keycloak \nhat-gateway\nha\n";
    assert_eq!(beginning_with("ha-", all), ["ha-gateway", "ha-keycloak"]);
}
