//! A platform that runs: what its stores were made with cannot be changed below their data. Each try
//! is refused with the field, the cause and the fix, and changes nothing.

use std::collections::BTreeMap;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{Answering, World};

/// What is tried, as a change of the spec, the field that is named, the cause and the fix.
type Try = (
    &'static str,
    Value,
    &'static str,
    &'static str,
    &'static str,
);

/// One store with a volume of its own size and class; the others have what they get by themselves.
fn spec() -> Value {
    json!({
        "url": "https://lotoai.localhost",
        "data": { "postgres": { "storage": { "size": "10Gi", "storageClassName": "slow" } } },
    })
}

const VOLUME: &str = "is fixed once the volume exists";
const BACK: &str = "set it back";

/// PostgreSQL's volume, which the resource names.
fn named_volumes() -> Vec<Try> {
    const FIELD: &str = "spec.data.postgres.storage";
    let postgres = |storage| json!({ "data": { "postgres": { "storage": storage } } });
    let no_longer = "set size and storageClassName back";
    let all = [
        ("a smaller one", json!({ "size": "5Gi" }), FIELD, BACK),
        ("a larger one", json!({ "size": "20Gi" }), FIELD, BACK),
        (
            "another class",
            json!({ "storageClassName": "fast" }),
            FIELD,
            BACK,
        ),
        ("no class", json!({ "storageClassName": null }), FIELD, BACK),
        ("none", Value::Null, "spec.data.postgres", no_longer),
    ];
    all.into_iter()
        .map(|(what, storage, field, fix)| (what, postgres(storage), field, VOLUME, fix))
        .collect()
}

/// Volumes of which the resource says nothing.
fn silent_volumes() -> Vec<Try> {
    let small = json!({ "storage": { "size": "1Gi" } });
    let data = |store: &str| json!({ "data": { store: small } });
    let fix = "set size and storageClassName back to what the volume was made with";
    [
        ("ClickHouse's", data("clickhouse"), "spec.data.clickhouse"),
        ("MinIO's", data("objectStorage"), "spec.data.objectStorage"),
        (
            "RabbitMQ's",
            json!({ "messaging": { "rabbitmq": small } }),
            "spec.messaging.rabbitmq",
        ),
        ("rag-server's", json!({ "rag": small }), "spec.rag"),
    ]
    .map(|(what, change, field)| (what, change, field, VOLUME, fix))
    .to_vec()
}

/// Who runs a store.
fn modes() -> Vec<Try> {
    let data = |store: &str, mode: Value| json!({ "data": { store: mode } });
    let cause = "who runs a store is fixed, because its data would stay behind";
    let fix = "set it back, or back up the store";
    let stores = [
        (
            "PostgreSQL elsewhere",
            data(
                "postgres",
                json!({ "storage": null, "external": {
                    "url": "postgres://db.example.com", "adminSecretName": "db-admin",
                } }),
            ),
            "spec.data.postgres",
        ),
        (
            "PostgreSQL by another operator",
            data("postgres", json!({ "storage": null, "delegated": {} })),
            "spec.data.postgres",
        ),
        (
            "ClickHouse elsewhere",
            data(
                "clickhouse",
                json!({ "external": {
                    "url": "https://ch.example.com", "adminSecretName": "ch-admin",
                } }),
            ),
            "spec.data.clickhouse",
        ),
        (
            "documents elsewhere",
            data(
                "objectStorage",
                json!({ "external": {
                    "url": "https://s3.example.com", "bucket": "documents",
                    "credentialsSecretName": "s3-key",
                } }),
            ),
            "spec.data.objectStorage",
        ),
        (
            "RabbitMQ elsewhere",
            json!({ "messaging": { "rabbitmq": { "external": {
                "url": "amqps://mq.example.com", "managementURL": "https://mq.example.com:15671",
                "adminSecretName": "mq-admin",
            } } } }),
            "spec.messaging.rabbitmq",
        ),
        (
            "vectors in a Qdrant of the operator",
            json!({ "rag": { "vectorStore": { "managed": {} } } }),
            "spec.rag.vectorStore",
        ),
        (
            "vectors in a Qdrant elsewhere",
            json!({ "rag": { "vectorStore": { "external": {
                "url": "https://qdrant.example.com:6334", "apiKeySecretName": "qdrant-key",
            } } } }),
            "spec.rag.vectorStore",
        ),
    ];
    let people = (
        "people of another issuer",
        json!({ "identity": { "external": {
            "issuerURL": "https://login.example.com", "clientID": "lotoai",
            "clientSecretName": "sign-in",
        } } }),
        "spec.identity",
        "whether identity is external is fixed, because conversations and documents belong to",
        "set it back, or make a new LotoAI resource",
    );
    let stores = stores.map(|(what, change, field)| (what, change, field, cause, fix));
    stores.into_iter().chain([people]).collect()
}

/// Versions of all that belongs to the platform, but for the resource itself.
async fn children(world: &World) -> BTreeMap<String, String> {
    let mut versions = world.versions().await;
    versions.remove("LotoAI/demo");
    assert!(versions.len() > 40, "only {} objects", versions.len());
    versions
}

/// Fails unless the resource is `Stalled` for this reason, with all of these words.
async fn assert_stalled(world: &World, reason: &str, words: &[&str]) {
    world.pass().await.unwrap_err();
    let (_, told, message) = world.condition("Stalled").await;
    assert_eq!(told, reason, "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message}");
    }
}

#[tokio::test]
async fn its_volumes_and_who_runs_its_stores_stay() {
    let Some(world) = World::new("running-stores", &spec(), Answering).await else {
        return;
    };
    world.settle().await;
    let (before, all) = (children(&world).await, world.versions().await);
    let tries = [named_volumes(), silent_volumes(), modes()].concat();
    for (what, change, field, cause, fix) in tries {
        let patch = Patch::Merge(json!({ "spec": change }));
        let tried = world
            .lotos()
            .patch("demo", &PatchParams::default(), &patch)
            .await;
        let refusal = match tried {
            Ok(_) => panic!("{what}: accepted"),
            Err(kube::Error::Api(refusal)) => refusal,
            Err(error) => panic!("{what}: {error}"),
        };
        assert_eq!(refusal.code, 422, "{what}: {}", refusal.message);
        let (message, path) = (&refusal.message, format!("{field}: "));
        for part in [path.as_str(), cause, fix] {
            assert!(
                message.contains(part),
                "{what}: {part:?} is not in {message}"
            );
        }
    }
    assert_eq!(world.versions().await, all, "nothing was written");

    // What says the same in other words is taken, and so is what is not about data.
    world
        .change(&json!({
            "data": { "clickhouse": { "storage": { "size": "5Gi" } } },
            "deletionPolicy": "Retain",
        }))
        .await;
    world.settle().await;
    assert_eq!(children(&world).await, before);
}

#[tokio::test]
async fn its_servers_with_data_keep_their_number() {
    let Some(world) = World::demo("running-members").await else {
        return;
    };
    world.settle().await;
    let before = children(&world).await;

    world
        .change(&json!({ "components": { "rabbitmq": { "replicas": 3 } } }))
        .await;
    let words = [
        "spec.components[rabbitmq].replicas: rabbitmq runs on 1 volumes and cannot change to 3",
        "set it to 1, or make a new platform and move the data",
    ];
    assert_stalled(&world, "InvalidSpec", &words).await;

    // A profile asks for others as well, and each is named.
    world
        .change(&json!({ "components": null, "profile": "HighAvailability" }))
        .await;
    let words = ["rabbitmq", "minio", "clickhouse"]
        .map(|store| format!("spec.components[{store}].replicas: {store} runs on 1 volumes"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_stalled(&world, "InvalidSpec", &words).await;
    assert_eq!(children(&world).await, before, "nothing was changed");

    world.change(&json!({ "profile": null })).await;
    world.settle().await;
    assert_eq!(children(&world).await, before);
}

#[tokio::test]
async fn an_older_operator_leaves_it_as_it_is() {
    let Some(world) = World::demo("running-newer").await else {
        return;
    };
    world.settle().await;
    let before = children(&world).await;
    let ours = env!("CARGO_PKG_VERSION");

    ran(&world, "99.1.0").await;
    world
        .change(&json!({ "components": { "gateway": { "replicas": 2 } } }))
        .await;
    let words = [
        "status.version: the platform runs 99.1.0 and this operator brings",
        ours,
        "nothing is changed",
        "install operator 99.1.0 or newer again",
    ];
    assert_stalled(&world, "DowngradeRefused", &words).await;
    assert_eq!(children(&world).await, before);
    assert_eq!(world.status().await.version.as_deref(), Some("99.1.0"));

    // With the operator that the platform ran with the change takes effect.
    ran(&world, ours).await;
    world.settle().await;
    assert_ne!(children(&world).await, before, "the control");
}

/// Writes which version the platform ran whole, as the operator of that version did.
async fn ran(world: &World, version: &str) {
    let patch = Patch::Merge(json!({ "status": { "version": version } }));
    world
        .lotos()
        .patch_status("demo", &PatchParams::default(), &patch)
        .await
        .unwrap();
}
