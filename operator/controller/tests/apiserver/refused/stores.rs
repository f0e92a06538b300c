//! Volumes, and stores that are there already.

use serde_json::{Value, json};

use super::Broken;

fn postgres(postgres: Value) -> Value {
    json!({ "data": { "postgres": postgres } })
}

pub(super) fn broken() -> Vec<Broken> {
    let external = json!({ "url": "postgres://db.example:5432", "adminSecretName": "a" });
    vec![
        (
            "a size without unit",
            postgres(json!({ "storage": { "size": "5" } })),
            "spec.data.postgres.storage.size",
        ),
        (
            "a size of nothing",
            postgres(json!({ "storage": { "size": "0Gi" } })),
            "spec.data.postgres.storage.size",
        ),
        (
            "a class with a space",
            postgres(json!({ "storage": { "storageClassName": "a b" } })),
            "storageClassName",
        ),
        (
            "here and elsewhere",
            postgres(json!({ "storage": {}, "external": external })),
            "either storage",
        ),
        (
            "a password in the address",
            postgres(
                json!({ "external": { "url": "postgres://me:secret@db.example", "adminSecretName": "a" } }),
            ),
            "users and passwords belong in the Secret",
        ),
        (
            "no administrator",
            postgres(json!({ "external": { "url": "postgres://db.example" } })),
            "adminSecretName: Required value",
        ),
        (
            "an authority without TLS",
            postgres(
                json!({ "external": { "url": "postgres://db.example", "adminSecretName": "a", "tls": false, "caSecretName": "ca" } }),
            ),
            "caSecretName needs TLS",
        ),
        (
            "an administrator of another namespace",
            postgres(
                json!({ "external": { "url": "postgres://db.example", "adminSecretName": "other/a" } }),
            ),
            "adminSecretName",
        ),
        (
            "a database in the address",
            json!({ "data": { "clickhouse": { "external": { "url": "https://ch.example/db", "adminSecretName": "a" } } } }),
            "with nothing before or after them",
        ),
        (
            "another protocol",
            json!({ "messaging": { "rabbitmq": { "external": { "url": "mqtt://mq.example", "managementURL": "https://mq.example", "adminSecretName": "a" } } } }),
            "url must be amqp:// or amqps://",
        ),
        (
            "no management",
            json!({ "messaging": { "rabbitmq": { "external": { "url": "amqps://mq.example", "adminSecretName": "a" } } } }),
            "managementURL: Required value",
        ),
        (
            "a virtual host with a slash",
            json!({ "messaging": { "rabbitmq": { "external": { "url": "amqps://mq.example", "managementURL": "https://mq.example", "virtualHost": "/", "adminSecretName": "a" } } } }),
            "virtualHost",
        ),
        (
            "a bucket of two letters",
            json!({ "data": { "objectStorage": { "external": { "url": "https://s3.example", "bucket": "ab", "credentialsSecretName": "a" } } } }),
            "bucket",
        ),
        (
            "a bucket in upper case",
            json!({ "data": { "objectStorage": { "external": { "url": "https://s3.example", "bucket": "Docs", "credentialsSecretName": "a" } } } }),
            "bucket",
        ),
        (
            "a region with a space",
            json!({ "data": { "objectStorage": { "external": { "url": "https://s3.example", "bucket": "docs", "region": "eu west", "credentialsSecretName": "a" } } } }),
            "region",
        ),
    ]
}
