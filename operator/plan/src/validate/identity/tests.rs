use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use lotoai_api::LotoAI;
use lotoai_api::spec::PullPolicy;
use rstest::rstest;
use serde_json::{Value, json};

use crate::observed::{Observed, OperatorEnv};
use crate::validate::{Invalid, referenced_secrets, validate};

fn resource(identity: &Value) -> LotoAI {
    serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1",
        "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": "ai", "uid": "u" },
        "spec": { "url": "https://ai.example.com", "identity": identity },
    }))
    .unwrap()
}

fn external(issuer: &str) -> Value {
    json!({ "external": { "issuerURL": issuer, "clientID": "app",
                          "clientSecretName": "sign-in", "caSecretName": "ca" } })
}

fn faults(identity: &Value, secrets: &[(&str, &str)]) -> Vec<Invalid> {
    let secret = |key: &str| Secret {
        data: Some(BTreeMap::from([(
            key.to_owned(),
            ByteString(b"x".to_vec()),
        )])),
        ..Secret::default()
    };
    let observed = Observed {
        secrets: secrets
            .iter()
            .map(|(name, key)| ((*name).to_owned(), secret(key)))
            .collect(),
        ..Observed::default()
    };
    let env = OperatorEnv {
        namespace: "lotoai-system".to_owned(),
        version: "0.1.0".to_owned(),
        images: BTreeMap::new(),
        pull_policy: PullPolicy::IfNotPresent,
        otlp_endpoint: None,
    };
    validate(&resource(identity), &observed, &env)
        .err()
        .unwrap_or_default()
}

const ISSUER: &str = "https://login.example.com/staff/";
const CLIENT: (&str, &str) = ("sign-in", "clientSecret");
const CA: (&str, &str) = ("ca", "ca.crt");

#[rstest]
#[case("http://login.example.com")]
#[case("login.example.com")]
#[case("https://")]
#[case("https://ana:secret@login.example.com")]
#[case("https://login.example.com?tenant=a")]
#[case("https://login.example.com#a")]
fn an_issuer_that_is_none_is_refused_without_repeating_it(#[case] issuer: &str) {
    let faults = faults(&external(issuer), &[CLIENT, CA]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].field, "spec.identity.external.issuerURL");
    assert!(faults[0].message.contains("write https://"));
    assert!(!faults[0].message.contains("secret@"));
}

#[rstest]
#[case(&[CA], "clientSecretName", "SecretNotFound")]
#[case(&[("sign-in", "password"), CA], "clientSecretName", "SecretKeyMissing")]
#[case(&[CLIENT], "caSecretName", "SecretNotFound")]
#[case(&[CLIENT, ("ca", "tls.crt")], "caSecretName", "SecretKeyMissing")]
fn a_missing_secret_or_key_names_its_field(
    #[case] secrets: &[(&str, &str)],
    #[case] field: &str,
    #[case] reason: &str,
) {
    let faults = faults(&external(ISSUER), secrets);
    let found: Vec<_> = faults.iter().map(|f| (f.field.clone(), f.reason)).collect();
    let field = format!("spec.identity.external.{field}");
    assert_eq!(found, [(field, reason)]);
}

#[test]
fn people_are_known_in_one_place() {
    let mut both = external(ISSUER);
    both["firstUser"] = json!({ "username": "ana" });
    let faults = faults(&both, &[CLIENT, CA]);
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["spec.identity.firstUser"]);
}

#[test]
fn settings_of_keycloak_are_refused_where_it_does_not_run() {
    let mut lotoai = resource(&external(ISSUER));
    lotoai.spec.components =
        serde_json::from_value(json!({ "keycloak": { "replicas": 2 } })).unwrap();
    let mut faults = Vec::new();
    super::super::external::topology(&lotoai.spec, "demo", &mut faults);
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["spec.components[keycloak]"]);
}

#[test]
fn secrets_of_the_issuer_are_read_and_watched() {
    let names = referenced_secrets("demo", &resource(&external(ISSUER)).spec);
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["ca", "sign-in"]);
}
