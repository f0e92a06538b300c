//! Fixtures: resources from files, credentials that are the same every time.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use lotoai_api::LotoAI;
use lotoai_api::spec::PullPolicy;
use lotoai_api::versions::Source;
use lotoai_plan::{
    Credentials, Observed, OperatorEnv, Platform, Prepared, ResourceSet, SecretKind, Value, build,
    required_secrets, validate,
};

pub(crate) const FIXTURES: [&str; 23] = [
    "minimal",
    "demo",
    "custom",
    "small",
    "high-availability",
    "placement",
    "traefik-options",
    "ingress",
    "gateway-api",
    "cert-manager",
    "given-authority",
    "external-postgres",
    "external-rabbitmq",
    "external-clickhouse",
    "external-s3",
    "external",
    "external-oidc",
    "qdrant",
    "qdrant-cluster",
    "external-qdrant",
    "delegated-postgres",
    "delegated-postgres-ha",
    "given-credentials",
];

pub(crate) fn resource(fixture: &str) -> LotoAI {
    let path = format!(
        "{}/tests/plan/fixtures/{fixture}.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn operator(fixture: &str) -> OperatorEnv {
    let mut images = BTreeMap::new();
    if fixture == "demo" {
        let ours = lotoai_api::Component::ALL.map(lotoai_api::Component::name);
        for name in ours.into_iter().chain(["provision"]) {
            images.insert(name.to_owned(), format!("localhost/lotoai/{name}:local"));
        }
    }
    // A release number that no change of version touches.
    let version = "9.9.9".to_owned();
    assert!(
        Source::Workload("x")
            .reference(&version)
            .ends_with(":9.9.9")
    );
    OperatorEnv {
        namespace: "lotoai-system".to_owned(),
        version,
        images,
        pull_policy: PullPolicy::IfNotPresent,
        otlp_endpoint: None,
    }
}

pub(crate) fn provided() -> Observed {
    let secret = |values: &[(&str, &str)]| Secret {
        data: Some(
            values
                .iter()
                .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                .collect(),
        ),
        ..Secret::default()
    };
    let account = |name: &str| {
        let values = [("username", "given"), ("password", "given-password")];
        (name.to_owned(), secret(&values))
    };
    Observed {
        secrets: BTreeMap::from([
            account("postgres-admin"),
            account("rabbitmq-admin"),
            account("clickhouse-admin"),
            account("s3-key"),
            ("qdrant-key".to_owned(), secret(&[("apiKey", "given")])),
            ("company-ca".to_owned(), secret(&[("ca.crt", "pem")])),
            ("sign-in".to_owned(), secret(&[("clientSecret", "given")])),
            account("demo-postgres-superuser"),
            ("demo-postgres-ca".to_owned(), secret(&[("ca.crt", "pem")])),
            ("openai".to_owned(), secret(&[("apiKey", "sk-provided")])),
            (
                "ai-example-com".to_owned(),
                secret(&[("tls.crt", "cert"), ("tls.key", "key")]),
            ),
            (
                "platform-ca".to_owned(),
                secret(&[("tls.crt", "authority"), ("tls.key", "key")]),
            ),
            (
                "demo-edge-tls".to_owned(),
                secret(&[("tls.crt", "issued"), ("tls.key", "key")]),
            ),
            (
                "vault-gateway-postgres".to_owned(),
                secret(&[("password", "from-the-vault-of-the-database")]),
            ),
            (
                "vault-gateway-orchestrator".to_owned(),
                secret(&[("token", "from-the-vault-of-the-orchestrator")]),
            ),
            (
                "vault-gateway-keycloak".to_owned(),
                secret(&[("password", "from-the-vault-of-the-client")]),
            ),
            (
                "vault-postgres-admin".to_owned(),
                secret(&[("password", "from-the-vault-of-the-administrator")]),
            ),
            (
                "vault-gateway-session".to_owned(),
                secret(&[("key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")]),
            ),
        ]),
        ..Observed::default()
    }
}

pub(crate) fn platform(fixture: &str) -> Platform {
    validate(&resource(fixture), &provided(), &operator(fixture)).unwrap()
}

/// Values that say where they come from.
pub(crate) fn credentials(platform: &Platform) -> Credentials {
    let required = required_secrets(platform);
    let values = required
        .iter()
        .map(|spec| {
            let value = |key: &str| match &spec.kind {
                SecretKind::Values(values) => match &values[key] {
                    Value::Fixed(text)
                    | Value::First(text)
                    | Value::Account { first: text, .. } => text.clone(),
                    Value::Given { secret, key } => format!("given-{secret}-{key}"),
                    Value::Random { .. } => format!("random-{}-{key}", spec.name()),
                },
                SecretKind::Authority | SecretKind::Certificate { .. } => format!("pem-{key}"),
            };
            let keys = spec.keys().into_iter();
            let values = keys
                .map(|key| (key.to_owned(), value(key).into_bytes()))
                .collect();
            (spec.name().to_owned(), values)
        })
        .collect();
    Credentials::new(&required, values).unwrap()
}

pub(crate) fn objects(fixture: &str) -> (Platform, ResourceSet<Prepared>) {
    let platform = platform(fixture);
    let set = build(&platform, &credentials(&platform));
    (platform, set)
}
