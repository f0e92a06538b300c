//! Rules of stores: volumes, and those that others run.

use rstest::rstest;
use serde_json::{Value, json};

use crate::rules::{resource, with};

#[rstest]
#[case(json!({ "size": "6Gi" }), Some("size is fixed"))]
#[case(json!({ "storageClassName": "fast" }), Some("storageClassName is fixed"))]
#[case(json!({}), None)]
fn volumes_are_fixed(#[case] storage: Value, #[case] message: Option<&str>) {
    let old = resource(
        "demo",
        with(json!({ "data": { "postgres": { "storage": {} } } })),
    );
    let new = resource(
        "demo",
        with(json!({ "data": { "postgres": { "storage": storage } } })),
    );
    let outcome = new
        .validate_cel_update(&old)
        .map_err(|errors| errors.to_string());
    match (outcome, message) {
        (Ok(()), None) => {}
        (Err(errors), Some(message)) => assert!(errors.contains(message), "{errors}"),
        (outcome, _) => panic!("{outcome:?}"),
    }
}

fn external_postgres() -> Value {
    json!({ "url": "postgres://db.example.com", "adminSecretName": "db-admin" })
}

fn data(store: &str, value: &Value) -> Value {
    with(json!({ "data": { store: value } }))
}

fn rabbitmq(url: &str, management: &str) -> Value {
    with(json!({ "messaging": { "rabbitmq": { "external": {
        "url": url, "managementURL": management, "adminSecretName": "a", "caSecretName": "ca",
    } } } }))
}

fn object_storage(url: &str) -> Value {
    let external = json!({ "url": url, "bucket": "documents", "credentialsSecretName": "key" });
    data("objectStorage", &json!({ "external": external }))
}

#[rstest]
#[case(data("postgres", &json!({ "external": external_postgres() })))]
#[case(data("clickhouse", &json!({ "external": {
    "url": "https://ch.data.svc:8443", "adminSecretName": "a", "caSecretName": "ca" } })))]
#[case(object_storage("https://s3.eu-central-1.amazonaws.com"))]
#[case(rabbitmq("amqps://mq:5671", "http://mq:15672"))]
#[case(rabbitmq("amqp://mq", "https://mq:15671"))]
#[case(data("postgres", &json!({ "delegated": {} })))]
#[case(data("postgres", &json!({ "delegated": {
    "operator": "CloudNativePG", "instances": 9, "storage": { "size": "20Gi" } } })))]
fn accepts_stores_that_others_run(#[case] spec: Value) {
    let outcome = resource("demo", spec).validate_cel();
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[rstest]
#[case(
    data("postgres", &json!({ "storage": {}, "external": external_postgres() })),
    "remove one of them"
)]
#[case(
    data("postgres", &json!({ "storage": {}, "delegated": {} })),
    "or delegated (another operator of the cluster runs it): remove one of them"
)]
#[case(
    data("postgres", &json!({ "external": external_postgres(), "delegated": {} })),
    "remove one of them"
)]
#[case(
    data("postgres", &json!({ "external": { "url": "mysql://db", "adminSecretName": "a" } })),
    "url must be postgres://"
)]
#[case(
    data("postgres", &json!({ "external": {
        "url": "postgres://ana:secret@db", "adminSecretName": "a" } })),
    "belong in the Secret"
)]
#[case(
    data("postgres", &json!({ "external": {
        "url": "postgres://db/x", "adminSecretName": "a" } })),
    "url must be postgres://"
)]
#[case(
    data("postgres", &json!({ "external": {
        "url": "postgres://db", "tls": false, "adminSecretName": "a", "caSecretName": "ca" } })),
    "caSecretName needs TLS"
)]
#[case(
    data("clickhouse", &json!({ "external": {
        "url": "http://ch", "adminSecretName": "a", "caSecretName": "ca" } })),
    "write url with https://"
)]
#[case(rabbitmq("http://mq", "https://mq"), "url must be amqp:// or amqps://")]
#[case(
    rabbitmq("amqps://mq", "amqps://mq"),
    "managementURL must be http:// or https://"
)]
#[case(rabbitmq("amqp://mq", "http://mq"), "caSecretName needs TLS")]
#[case(object_storage("s3://documents"), "url must be http:// or https://")]
fn refuses_external_stores_that_contradict_themselves(#[case] spec: Value, #[case] message: &str) {
    let errors = resource("demo", spec)
        .validate_cel()
        .unwrap_err()
        .to_string();
    assert!(errors.contains(message), "{errors}");
}

#[rstest]
#[case(json!({}), json!({ "external": external_postgres() }), Some("is fixed, because its data"))]
#[case(json!({ "external": external_postgres() }), json!({}), Some("back up the store"))]
#[case(json!({}), json!({ "delegated": {} }), Some("is fixed, because its data"))]
#[case(json!({ "delegated": {} }), json!({}), Some("who runs a store is fixed"))]
#[case(
    json!({ "delegated": {} }),
    json!({ "external": external_postgres() }),
    Some("who runs a store is fixed")
)]
#[case(json!({ "delegated": {} }), json!({ "delegated": { "instances": 3 } }), None)]
#[case(
    json!({ "delegated": {} }),
    json!({ "delegated": { "storage": { "size": "6Gi" } } }),
    Some("storage.size is fixed")
)]
#[case(json!({ "storage": {} }), json!({}), None)]
#[case(json!({}), json!({ "storage": { "size": "5Gi" } }), None)]
#[case(json!({}), json!({ "storage": { "size": "6Gi" } }), Some("storage is fixed"))]
#[case(json!({ "storage": { "size": "6Gi" } }), json!({}), Some("storage is fixed"))]
#[case(
    json!({ "external": external_postgres() }),
    json!({ "external": { "url": "postgres://moved", "adminSecretName": "other" } }),
    None
)]
fn the_mode_of_a_store_is_fixed(
    #[case] old: Value,
    #[case] new: Value,
    #[case] message: Option<&str>,
) {
    let outcome = resource("demo", data("postgres", &new))
        .validate_cel_update(&resource("demo", data("postgres", &old)))
        .map_err(|errors| errors.to_string());
    match (outcome, message) {
        (Ok(()), None) => {}
        (Err(errors), Some(message)) => assert!(errors.contains(message), "{errors}"),
        (outcome, _) => panic!("{outcome:?}"),
    }
}

/// What a resource says of one store.
fn store(name: &str, value: &Value) -> Value {
    match name {
        "rabbitmq" => with(json!({ "messaging": { "rabbitmq": value } })),
        "rag" => rag(value),
        _ => data(name, value),
    }
}

/// What the change of a store from one value to another is refused with, if it is.
fn refusal(name: &str, old: &Value, new: &Value) -> Option<String> {
    let outcome =
        resource("demo", store(name, new)).validate_cel_update(&resource("demo", store(name, old)));
    outcome.err().map(|errors| errors.to_string())
}

#[rstest]
fn no_volume_is_made_smaller_larger_or_moved(
    #[values("postgres", "clickhouse", "objectStorage", "rabbitmq", "rag")] name: &str,
    #[values(json!({}), json!({ "storage": {} }), json!({ "storage": { "size": "5Gi" } }))]
    old: Value,
) {
    for storage in [
        json!({ "size": "1Gi" }),
        json!({ "size": "9Gi" }),
        json!({ "storageClassName": "fast" }),
    ] {
        let errors = refusal(name, &old, &json!({ "storage": storage })).unwrap();
        assert!(errors.contains("fixed once the volume exists"), "{errors}");
        assert!(errors.contains("back"), "{errors}");
    }
    let same = refusal(name, &old, &json!({ "storage": { "size": "5Gi" } }));
    assert_eq!(same, None, "the control");
}

#[rstest]
#[case("clickhouse", json!({ "url": "https://ch", "adminSecretName": "a" }))]
#[case(
    "objectStorage",
    json!({ "url": "https://s3", "bucket": "documents", "credentialsSecretName": "a" })
)]
#[case(
    "rabbitmq",
    json!({ "url": "amqps://mq", "managementURL": "https://mq", "adminSecretName": "a" })
)]
fn no_store_changes_who_runs_it(#[case] name: &str, #[case] external: Value) {
    let (here, there) = (json!({}), json!({ "external": external }));
    for (old, new) in [(&here, &there), (&there, &here)] {
        let errors = refusal(name, old, new).unwrap();
        assert!(errors.contains("who runs a store is fixed"), "{errors}");
        assert!(errors.contains("set it back, or back up"), "{errors}");
    }
    assert_eq!(refusal(name, &there, &there), None, "the control");
}

fn rag(value: &Value) -> Value {
    with(json!({ "rag": value }))
}

fn external_qdrant() -> Value {
    json!({ "url": "https://qdrant.example.com:6334", "apiKeySecretName": "key" })
}

#[rstest]
#[case(rag(&json!({ "vectorStore": {} })))]
#[case(rag(&json!({ "storage": { "size": "6Gi" }, "vectorStore": {} })))]
#[case(rag(&json!({ "vectorStore": { "managed": { "storage": { "size": "6Gi" } } } })))]
#[case(rag(&json!({ "vectorStore": { "external": external_qdrant() } })))]
#[case(with(json!({
    "rag": { "vectorStore": { "managed": {} } },
    "components": { "rag-server": { "replicas": 4 }, "qdrant": { "replicas": 3 } },
})))]
#[case(with(json!({
    "rag": { "vectorStore": { "external": external_qdrant() } },
    "components": { "rag-server": { "autoscaling": { "maxReplicas": 4 } } },
})))]
fn accepts_vector_stores(#[case] spec: Value) {
    let outcome = resource("demo", spec).validate_cel();
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[rstest]
#[case(
    rag(&json!({ "vectorStore": { "managed": {}, "external": external_qdrant() } })),
    "remove one of them"
)]
#[case(
    rag(&json!({ "storage": {}, "vectorStore": { "managed": {} } })),
    "rag.storage is the volume of the embedded vector store"
)]
#[case(
    rag(&json!({ "vectorStore": { "external": {
        "url": "grpc://q", "apiKeySecretName": "key" } } })),
    "url must be http:// or https://"
)]
#[case(
    rag(&json!({ "vectorStore": { "external": {
        "url": "http://q", "apiKeySecretName": "key", "caSecretName": "ca" } } })),
    "caSecretName needs TLS"
)]
#[case(
    with(json!({ "components": { "rag-server": { "replicas": 2 } } })),
    "components.rag-server.replicas must be 1"
)]
#[case(
    with(json!({ "components": { "rag-server": { "autoscaling": { "maxReplicas": 2 } } } })),
    "components.rag-server.replicas must be 1"
)]
#[case(
    with(json!({
        "rag": { "vectorStore": { "managed": {} } },
        "components": { "qdrant": { "replicas": 2 } },
    })),
    "components.qdrant.replicas must be 1 or 3"
)]
fn refuses_vector_stores_that_contradict_themselves(#[case] spec: Value, #[case] message: &str) {
    let errors = resource("demo", spec)
        .validate_cel()
        .unwrap_err()
        .to_string();
    assert!(errors.contains(message), "{errors}");
}

#[rstest]
#[case(json!({}), json!({ "managed": {} }), false)]
#[case(json!({ "managed": {} }), json!({}), false)]
#[case(json!({ "managed": {} }), json!({ "external": external_qdrant() }), false)]
#[case(json!({}), json!({}), true)]
#[case(json!({ "managed": {} }), json!({ "managed": { "storage": { "size": "5Gi" } } }), true)]
#[case(
    json!({ "external": external_qdrant() }),
    json!({ "external": { "url": "https://q2", "apiKeySecretName": "other" } }),
    true
)]
fn where_vectors_are_is_fixed(#[case] old: Value, #[case] new: Value, #[case] good: bool) {
    let of = |store| resource("demo", rag(&json!({ "vectorStore": store })));
    let outcome = of(new).validate_cel_update(&of(old));
    match outcome {
        Ok(()) => assert!(good),
        Err(errors) => {
            assert!(!good, "{errors}");
            assert!(
                errors.to_string().contains("who runs a store is fixed"),
                "{errors}"
            );
        }
    }
}
