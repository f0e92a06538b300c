//! Stores that somebody else runs: where their users are led, and what restarts them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use lotoai_api::Component;
use lotoai_plan::{Node, build};

use super::{container, template, templates};
use crate::common::{credentials, objects};

fn plain_variables(template: &PodTemplateSpec) -> BTreeMap<&str, &str> {
    let env = container(template).env.iter().flatten();
    env.filter_map(|variable| Some((variable.name.as_str(), variable.value.as_deref()?)))
        .collect()
}

#[test]
fn addresses_of_external_stores_reach_those_who_use_them() {
    use lotoai_api::Store::{Clickhouse, Postgres, Rabbitmq, S3};
    let cases = [
        (
            "external-postgres",
            Node::Component(Component::Gateway),
            "POSTGRES_URL",
            "postgres://postgres.example.com:6432/demo-gateway?sslmode=verify-full",
        ),
        (
            "external-postgres",
            Node::Component(Component::Gateway),
            "POSTGRES_CA_FILE",
            "/etc/lotoai-ca/postgres/ca.crt",
        ),
        (
            "external-postgres",
            Node::Provision(Postgres),
            "POSTGRES_URL",
            "postgres://postgres.example.com:6432/postgres?sslmode=verify-full",
        ),
        (
            "external-postgres",
            Node::Component(Component::Keycloak),
            "KC_DB_URL",
            "jdbc:postgresql://postgres.example.com:6432/demo-keycloak?sslmode=verify-full\
             &sslrootcert=%2Fetc%2Flotoai-ca%2Fpostgres%2Fca.crt",
        ),
        (
            "delegated-postgres",
            Node::Component(Component::Gateway),
            "POSTGRES_URL",
            "postgres://demo-postgres-rw:5432/demo-gateway?sslmode=verify-full",
        ),
        (
            "delegated-postgres",
            Node::Component(Component::Keycloak),
            "KC_DB_URL",
            "jdbc:postgresql://demo-postgres-rw:5432/demo-keycloak?sslmode=verify-full\
             &sslrootcert=%2Fetc%2Flotoai-ca%2Fpostgres%2Fca.crt",
        ),
        (
            "delegated-postgres",
            Node::Provision(Postgres),
            "POSTGRES_CA_FILE",
            "/etc/lotoai-ca/postgres/ca.crt",
        ),
        (
            "external",
            Node::Component(Component::Orchestrator),
            "POSTGRES_URL",
            "postgres://pg:5432/demo-orchestrator?sslmode=disable",
        ),
        (
            "external-rabbitmq",
            Node::Component(Component::Analytics),
            "RABBITMQ_URL",
            "amqps://rabbitmq.example.com:5671/demo-lotoai",
        ),
        (
            "external-rabbitmq",
            Node::Provision(Rabbitmq),
            "RABBITMQ_URL",
            "https://rabbitmq.example.com:15671",
        ),
        (
            "external",
            Node::Component(Component::Gateway),
            "RABBITMQ_URL",
            "amqp://rabbitmq.example.com:5672/ai",
        ),
        (
            "external-clickhouse",
            Node::Component(Component::Analytics),
            "CLICKHOUSE_URL",
            "https://clickhouse.analytics.svc:8443",
        ),
        (
            "external-clickhouse",
            Node::Component(Component::Analytics),
            "CLICKHOUSE_DATABASE",
            "demo_lotoai",
        ),
        (
            "external-clickhouse",
            Node::Provision(Clickhouse),
            "CLICKHOUSE_CA_FILE",
            "/etc/lotoai-ca/clickhouse/ca.crt",
        ),
        (
            "external-qdrant",
            Node::Component(Component::RagServer),
            "QDRANT_URL",
            "https://qdrant.example.com:6334",
        ),
        (
            "external-qdrant",
            Node::Component(Component::RagServer),
            "QDRANT_COLLECTION",
            "demo-passages",
        ),
        (
            "external-qdrant",
            Node::Component(Component::RagServer),
            "QDRANT_CA_FILE",
            "/etc/lotoai-ca/qdrant/ca.crt",
        ),
        (
            "qdrant-cluster",
            Node::Component(Component::RagServer),
            "QDRANT_URL",
            "https://demo-qdrant:6334",
        ),
        (
            "qdrant-cluster",
            Node::Component(Component::RagServer),
            "QDRANT_REPLICATION_FACTOR",
            "3",
        ),
        (
            "external-s3",
            Node::Component(Component::RagIngest),
            "S3_URL",
            "https://s3.eu-central-1.amazonaws.com",
        ),
        (
            "external-s3",
            Node::Component(Component::RagIngest),
            "S3_PATH_STYLE",
            "false",
        ),
        (
            "external-s3",
            Node::Provision(S3),
            "S3_REGION",
            "eu-central-1",
        ),
        (
            "external",
            Node::Component(Component::Gateway),
            "S3_URL",
            "http://10.20.0.7:9000",
        ),
    ];
    for (fixture, node, name, value) in cases {
        let (platform, set) = objects(fixture);
        let pod = template(&platform, &set, node);
        let found = plain_variables(pod).get(name).copied();
        assert_eq!(found, Some(value), "{fixture} {node:?} {name}");
    }
}

#[test]
fn a_changed_secret_of_an_external_store_restarts_exactly_those_who_use_it() {
    let restarted = |fixture: &str, key: (&str, &str)| -> Vec<String> {
        let (mut platform, before) = objects(fixture);
        let key = (key.0.to_owned(), key.1.to_owned());
        platform.provided.get_mut(&key).unwrap().push('0');
        let after = build(&platform, &credentials(&platform));
        let pairs = templates(&before).into_iter().zip(templates(&after));
        pairs
            .filter(|((_, a), (_, b))| a != b)
            .map(|((name, _), _)| match name.rsplit_once('-') {
                Some((job, _)) if name.starts_with("demo-provision") => job.to_owned(),
                _ => name,
            })
            .collect()
    };
    assert_eq!(
        restarted("external-postgres", ("company-ca", "ca.crt")),
        [
            "demo-keycloak",
            "demo-gateway",
            "demo-orchestrator",
            "demo-provision-postgres"
        ]
    );
    assert_eq!(
        restarted("external-postgres", ("postgres-admin", "password")),
        ["demo-provision-postgres"]
    );
    assert_eq!(
        restarted(
            "delegated-postgres",
            ("demo-postgres-superuser", "password")
        ),
        ["demo-provision-postgres"]
    );
    assert_eq!(
        restarted("delegated-postgres", ("demo-postgres-ca", "ca.crt")),
        [
            "demo-keycloak",
            "demo-gateway",
            "demo-orchestrator",
            "demo-provision-postgres"
        ]
    );
    for key in [("qdrant-key", "apiKey"), ("company-ca", "ca.crt")] {
        assert_eq!(restarted("external-qdrant", key), ["demo-rag-server"]);
    }
    assert_eq!(
        restarted("external-s3", ("s3-key", "password")),
        ["demo-gateway", "demo-rag-ingest", "demo-provision-s3"]
    );
}
