//! Stores: their volumes, and those that others run.

use serde_json::{Value, json};

use super::{Case, merge};

/// The same two leaves of every volume.
pub(super) fn storage_cases() -> Vec<Case> {
    let of = |storage: Value, path: &[&str]| {
        let storage = json!({ "storage": storage });
        path.iter()
            .rev()
            .fold(storage, |inner, key| json!({ (*key): inner }))
    };
    let both = |size, class, path: &[&str]| -> [Case; 2] {
        [
            (
                size,
                of(json!({ "size": "71Gi" }), path),
                r#""storage":"71Gi""#,
            ),
            (
                class,
                of(json!({ "storageClassName": "leaf" }), path),
                r#""storageClassName":"leaf""#,
            ),
        ]
    };
    [
        both("rag.storage.size", "rag.storage.storageClassName", &["rag"]),
        both(
            "rag.vectorStore.managed.storage.size",
            "rag.vectorStore.managed.storage.storageClassName",
            &["rag", "vectorStore", "managed"],
        ),
        both(
            "data.postgres.storage.size",
            "data.postgres.storage.storageClassName",
            &["data", "postgres"],
        ),
        both(
            "data.clickhouse.storage.size",
            "data.clickhouse.storage.storageClassName",
            &["data", "clickhouse"],
        ),
        both(
            "data.objectStorage.storage.size",
            "data.objectStorage.storage.storageClassName",
            &["data", "objectStorage"],
        ),
        both(
            "messaging.rabbitmq.storage.size",
            "messaging.rabbitmq.storage.storageClassName",
            &["messaging", "rabbitmq"],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn external_postgres(extra: Value) -> Value {
    let mut external = json!({ "url": "postgres://leaf.example.com:6471",
                               "adminSecretName": "postgres-admin" });
    merge(&mut external, extra);
    json!({ "data": { "postgres": { "external": external } } })
}

fn external_clickhouse() -> Value {
    json!({ "data": { "clickhouse": { "external": {
        "url": "https://leaf.example.com:8471",
        "adminSecretName": "clickhouse-admin",
        "caSecretName": "company-ca",
    } } } })
}

fn external_qdrant() -> Value {
    json!({ "rag": { "vectorStore": { "external": {
        "url": "https://leaf.example.com:6471",
        "collection": "leaves",
        "replicationFactor": 7,
        "shards": 17,
        "apiKeySecretName": "qdrant-key",
        "caSecretName": "company-ca",
    } } } })
}

fn external_objects() -> Value {
    json!({ "data": { "objectStorage": { "external": {
        "url": "https://leaf.example.com:9471",
        "region": "meadow-1",
        "bucket": "leaves",
        "pathStyle": false,
        "credentialsSecretName": "s3-key",
        "caSecretName": "company-ca",
    } } } })
}

fn external_rabbitmq() -> Value {
    json!({ "messaging": { "rabbitmq": { "external": {
        "url": "amqps://leaf.example.com:5471",
        "managementURL": "https://leaf.example.com:15471",
        "virtualHost": "leaves",
        "adminSecretName": "rabbitmq-admin",
        "caSecretName": "company-ca",
    } } } })
}

pub(super) fn external_cases() -> Vec<Case> {
    const CA: &str = r#""secretName":"company-ca""#;
    let authority = json!({ "caSecretName": "company-ca" });
    vec![
        (
            "data.postgres.external.url",
            external_postgres(json!({})),
            "leaf.example.com:6471",
        ),
        (
            "data.postgres.external.tls",
            external_postgres(json!({ "tls": false })),
            "sslmode=disable",
        ),
        (
            "data.postgres.external.adminSecretName",
            external_postgres(json!({})),
            r#""name":"postgres-admin""#,
        ),
        (
            "data.postgres.external.caSecretName",
            external_postgres(authority),
            CA,
        ),
        (
            "data.clickhouse.external.url",
            external_clickhouse(),
            "https://leaf.example.com:8471",
        ),
        (
            "data.clickhouse.external.adminSecretName",
            external_clickhouse(),
            r#""name":"clickhouse-admin""#,
        ),
        (
            "data.clickhouse.external.caSecretName",
            external_clickhouse(),
            CA,
        ),
        (
            "rag.vectorStore.external.url",
            external_qdrant(),
            "https://leaf.example.com:6471",
        ),
        (
            "rag.vectorStore.external.collection",
            external_qdrant(),
            r#""name":"QDRANT_COLLECTION","value":"leaves""#,
        ),
        (
            "rag.vectorStore.external.replicationFactor",
            external_qdrant(),
            r#""name":"QDRANT_REPLICATION_FACTOR","value":"7""#,
        ),
        (
            "rag.vectorStore.external.shards",
            external_qdrant(),
            r#""name":"QDRANT_SHARDS","value":"17""#,
        ),
        (
            "rag.vectorStore.external.apiKeySecretName",
            external_qdrant(),
            r#""name":"qdrant-key""#,
        ),
        (
            "rag.vectorStore.external.caSecretName",
            external_qdrant(),
            CA,
        ),
        (
            "data.objectStorage.external.url",
            external_objects(),
            "https://leaf.example.com:9471",
        ),
        (
            "data.objectStorage.external.region",
            external_objects(),
            "meadow-1",
        ),
        (
            "data.objectStorage.external.bucket",
            external_objects(),
            r#""value":"leaves""#,
        ),
        (
            "data.objectStorage.external.pathStyle",
            external_objects(),
            r#""name":"S3_PATH_STYLE","value":"false""#,
        ),
        (
            "data.objectStorage.external.credentialsSecretName",
            external_objects(),
            r#""name":"s3-key""#,
        ),
        (
            "data.objectStorage.external.caSecretName",
            external_objects(),
            CA,
        ),
        (
            "messaging.rabbitmq.external.url",
            external_rabbitmq(),
            "amqps://leaf.example.com:5471/leaves",
        ),
        (
            "messaging.rabbitmq.external.managementURL",
            external_rabbitmq(),
            "https://leaf.example.com:15471",
        ),
        (
            "messaging.rabbitmq.external.virtualHost",
            external_rabbitmq(),
            "leaves",
        ),
        (
            "messaging.rabbitmq.external.adminSecretName",
            external_rabbitmq(),
            r#""name":"rabbitmq-admin""#,
        ),
        (
            "messaging.rabbitmq.external.caSecretName",
            external_rabbitmq(),
            CA,
        ),
    ]
}

pub(super) fn delegated_cases() -> Vec<Case> {
    let of = |delegated: Value| json!({ "data": { "postgres": { "delegated": delegated } } });
    vec![
        (
            "data.postgres.delegated.operator",
            of(json!({ "operator": "CloudNativePG" })),
            r#""apiVersion":"postgresql.cnpg.io/v1""#,
        ),
        (
            "data.postgres.delegated.instances",
            of(json!({ "instances": 7 })),
            r#""instances":7"#,
        ),
        (
            "data.postgres.delegated.storage.size",
            of(json!({ "storage": { "size": "71Gi" } })),
            r#""size":"71Gi""#,
        ),
        (
            "data.postgres.delegated.storage.storageClassName",
            of(json!({ "storage": { "storageClassName": "leaf" } })),
            r#""storageClass":"leaf""#,
        ),
    ]
}
