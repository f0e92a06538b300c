use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use lotoai_api::LotoAI;
use lotoai_api::spec::PullPolicy;
use rstest::rstest;
use serde_json::{Value, json};

use crate::observed::{Observed, OperatorEnv};
use crate::validate::{Invalid, referenced_secrets, validate};

fn resource(spec: Value) -> LotoAI {
    let mut all = json!({ "url": "https://ai.example.com" });
    if let (Some(all), Value::Object(spec)) = (all.as_object_mut(), spec) {
        all.extend(spec);
    }
    serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1",
        "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": "ai", "uid": "u" },
        "spec": all,
    }))
    .unwrap()
}

fn observed(secrets: &[(&str, &[&str])]) -> Observed {
    let secret = |keys: &[&str]| Secret {
        data: Some(
            keys.iter()
                .map(|key| ((*key).to_owned(), ByteString(b"x".to_vec())))
                .collect(),
        ),
        ..Secret::default()
    };
    Observed {
        secrets: secrets
            .iter()
            .map(|(name, keys)| ((*name).to_owned(), secret(keys)))
            .collect(),
        ..Observed::default()
    }
}

fn env() -> OperatorEnv {
    OperatorEnv {
        namespace: "lotoai-system".to_owned(),
        version: "0.1.0".to_owned(),
        images: BTreeMap::new(),
        pull_policy: PullPolicy::IfNotPresent,
        otlp_endpoint: None,
    }
}

fn faults(spec: Value, secrets: &[(&str, &[&str])]) -> Vec<Invalid> {
    validate(&resource(spec), &observed(secrets), &env())
        .err()
        .unwrap_or_default()
}

fn postgres(url: &str) -> Value {
    json!({ "data": { "postgres": { "external": {
        "url": url, "adminSecretName": "admin", "caSecretName": "ca",
    } } } })
}

const ADMIN: (&str, &[&str]) = ("admin", &["username", "password"]);
const CA: (&str, &[&str]) = ("ca", &["ca.crt"]);

#[rstest]
#[case("mysql://db")]
#[case("https://db")]
#[case("db:5432")]
#[case("postgres://")]
#[case("postgres://ana:secret@db")]
#[case("postgres://db/gateway")]
#[case("postgres://db?sslmode=disable")]
fn an_address_that_is_none_is_refused_without_repeating_it(#[case] url: &str) {
    let faults = faults(postgres(url), &[ADMIN, CA]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].field, "spec.data.postgres.external.url");
    assert_eq!(faults[0].reason, "InvalidSpec");
    assert!(faults[0].message.contains("write postgres://"));
    assert!(!faults[0].message.contains("secret@"));
}

#[test]
fn the_management_address_has_its_own_schemes() {
    let spec = json!({ "messaging": { "rabbitmq": { "external": {
        "url": "amqps://mq", "managementURL": "amqps://mq:15671", "adminSecretName": "admin",
    } } } });
    let faults = faults(spec, &[ADMIN]);
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["spec.messaging.rabbitmq.external.managementURL"]);
    assert!(faults[0].message.contains("write http:// or https://"));
}

#[rstest]
#[case(&[CA], "adminSecretName", "SecretNotFound")]
#[case(&[("admin", &["username"] as &[&str]), CA], "adminSecretName", "SecretKeyMissing")]
#[case(&[ADMIN], "caSecretName", "SecretNotFound")]
#[case(&[ADMIN, ("ca", &["tls.crt"] as &[&str])], "caSecretName", "SecretKeyMissing")]
fn a_missing_secret_or_key_names_its_field(
    #[case] secrets: &[(&str, &[&str])],
    #[case] field: &str,
    #[case] reason: &str,
) {
    let faults = faults(postgres("postgres://db"), secrets);
    let found: Vec<_> = faults.iter().map(|f| (f.field.clone(), f.reason)).collect();
    let field = format!("spec.data.postgres.external.{field}");
    assert_eq!(found, [(field, reason)]);
}

#[test]
fn settings_of_a_component_that_is_elsewhere_are_refused() {
    let mut spec = postgres("postgres://db");
    spec["components"] = json!({ "postgres": {}, "gateway": {} });
    spec["images"] = json!({ "overrides": { "postgres": "a/b:1" } });
    let faults = faults(spec, &[ADMIN, CA]);
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.components[postgres]",
            "spec.images.overrides[postgres]"
        ]
    );
}

#[test]
fn secrets_of_external_stores_are_read_and_watched() {
    let names = referenced_secrets("demo", &resource(postgres("postgres://db")).spec);
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["admin", "ca"]);
}

#[test]
fn an_external_store_is_not_the_platforms_alone() {
    let lotoai = resource(postgres("postgres://db"));
    let platform = validate(&lotoai, &observed(&[ADMIN, CA]), &env()).unwrap();
    let name = |store| platform.topology.account(store, "gateway");
    assert_eq!(name(lotoai_api::Store::Postgres), "demo-gateway");
    assert_eq!(name(lotoai_api::Store::Rabbitmq), "gateway");
}
