use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use lotoai_api::spec::PullPolicy;
use lotoai_api::{LotoAI, reasons};
use rstest::rstest;
use serde_json::{Value, json};

use super::references;
use crate::labels;
use crate::observed::{Observed, OperatorEnv};
use crate::validate::{Invalid, referenced_secrets, validate};

const GOOD: &str = "a-password-of-some-length";
const SESSION_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A resource that takes each credential from the Secret of this name.
fn resource(given: &[(&str, &str)], more: &Value) -> LotoAI {
    let given: BTreeMap<_, _> = given
        .iter()
        .map(|(name, secret)| (*name, json!({ "name": secret })))
        .collect();
    let mut spec = json!({ "url": "https://ai.example.com", "credentials": { "given": given } });
    let fields = spec.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1",
        "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": "ai", "uid": "u" },
        "spec": spec,
    }))
    .unwrap()
}

fn secret(key: &str, value: &[u8]) -> Secret {
    Secret {
        data: Some(BTreeMap::from([(
            key.to_owned(),
            ByteString(value.to_vec()),
        )])),
        ..Secret::default()
    }
}

fn observed(secrets: &[(&str, &str, &[u8])]) -> Observed {
    Observed {
        secrets: secrets
            .iter()
            .map(|(name, key, value)| ((*name).to_owned(), secret(key, value)))
            .collect(),
        ..Observed::default()
    }
}

fn faults(lotoai: &LotoAI, observed: &Observed) -> Vec<Invalid> {
    let env = OperatorEnv {
        namespace: "lotoai-system".to_owned(),
        version: "0.1.0".to_owned(),
        images: BTreeMap::new(),
        pull_policy: PullPolicy::IfNotPresent,
        otlp_endpoint: None,
    };
    validate(lotoai, observed, &env).err().unwrap_or_default()
}

/// What is said of this value of the gateway's password in PostgreSQL.
fn faults_of_password(value: &[u8]) -> Vec<Invalid> {
    let lotoai = resource(&[("gateway-postgres", "vault")], &json!({}));
    faults(&lotoai, &observed(&[("vault", "password", value)]))
}

#[rstest]
#[case(GOOD)]
#[case("aaaaaaaaaaaaaaaaaaaaaaaa")]
#[case("AZaz09-._~+/=AZaz09-._~+/=")]
fn takes_what_everybody_can_use(#[case] value: &str) {
    assert_eq!(faults_of_password(value.as_bytes()), []);
    assert_eq!(faults_of_password(&[b'x'; 128]), []);
}

#[rstest]
#[case::short(b"hunter2-hunter2-hunter2", "24 to 128 characters")]
#[case::a_line_break(b"a-password-of-some-length\n", "ends with a line break")]
#[case::a_line_break_of_windows(b"a-password-of-some-length\r\n", "letters without accents")]
#[case::a_line_break_inside(b"a-password\nof-some-length-", "letters without accents")]
#[case::nul(b"a-password-of-some-length\0", "letters without accents")]
#[case::a_space(b"a password of some length", "letters without accents")]
#[case::a_quote(b"a-password'of-some-length", "letters without accents")]
#[case::expanded_by_keycloak(b"a-password-${env.PASSWORD}", "letters without accents")]
#[case::no_text(b"\xff\xfe-password-of-some-length", "letters without accents")]
#[case::an_accent("contraseña-bastante-larga".as_bytes(), "letters without accents")]
fn refuses_what_somebody_could_not_use(#[case] value: &[u8], #[case] why: &str) {
    let found = faults_of_password(value);
    assert_eq!(found.len(), 1, "{found:?}");
    let fault = &found[0];
    assert_eq!(fault.field, "spec.credentials.given[gateway-postgres]");
    assert_eq!(fault.reason, reasons::INVALID_SPEC);
    let message = &fault.message;
    assert!(
        message.contains("key password in Secret vault"),
        "{message}"
    );
    assert!(message.contains(why), "{message}");
    for part in ["hunter2", "some-length", "bastante", "env."] {
        assert!(!message.contains(part), "it repeats the value: {message}");
    }
}

#[test]
fn refuses_what_is_too_long() {
    let found = faults_of_password(&[b'x'; 129]);
    assert!(found[0].message.contains("too long"), "{found:?}");
    assert!(!found[0].message.contains("xxx"));
}

#[rstest]
#[case(SESSION_KEY, true)]
#[case("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", false)]
#[case("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", false)]
#[case("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWZ=", false)]
#[case("MDEyMzQ1Njc4OWFiY2RlZg==", false)]
#[case("_DEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", false)]
#[case(GOOD, false)]
fn the_key_of_sessions_is_32_bytes(#[case] value: &str, #[case] good: bool) {
    let lotoai = resource(&[("gateway-session", "vault")], &json!({}));
    let found = faults(&lotoai, &observed(&[("vault", "key", value.as_bytes())]));
    assert_eq!(found.is_empty(), good, "{found:?}");
    for fault in found {
        assert!(fault.message.contains("32 bytes in base64"), "{fault}");
        assert!(!fault.message.contains(value.trim_end()), "{fault}");
    }
}

#[rstest]
#[case::no_secret(&[], reasons::SECRET_NOT_FOUND)]
#[case::another_key(&[("vault", "token", GOOD.as_bytes())], reasons::SECRET_KEY_MISSING)]
#[case::empty(&[("vault", "password", b"".as_slice())], reasons::SECRET_KEY_MISSING)]
fn a_value_that_is_not_there_is_told_as_of_every_other_secret(
    #[case] secrets: &[(&str, &str, &[u8])],
    #[case] reason: &str,
) {
    let lotoai = resource(&[("gateway-postgres", "vault")], &json!({}));
    let found = faults(&lotoai, &observed(secrets));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].field, "spec.credentials.given[gateway-postgres]");
    assert_eq!(found[0].reason, reason);
}

#[rstest]
#[case("clickhouse-replication", "the servers themselves start with it")]
#[case("rabbitmq-cookie", "the servers themselves start with it")]
#[case("operator-traefik", "to ask the test question")]
#[case("first-user", "for the first sign-in")]
#[case("rag-server-qdrant", "no credential of this name")]
#[case("ca", "no credential of this name")]
#[case("all", "no credential of this name")]
#[case("gateway-nobody", "no credential of this name")]
fn what_cannot_be_given_is_refused_by_name(#[case] name: &str, #[case] why: &str) {
    let lotoai = resource(&[(name, "vault")], &json!({}));
    let found = faults(&lotoai, &Observed::default());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].field, format!("spec.credentials.given[{name}]"));
    let message = &found[0].message;
    assert!(message.contains(why), "{message}");
    assert!(message.contains("gateway-postgres, "), "{message}");
}

#[test]
fn a_credential_of_an_external_store_is_given_there() {
    let data = json!({ "data": { "objectStorage": { "external": {
        "url": "https://s3.example.com", "bucket": "documents", "region": "eu-central-1",
        "credentialsSecretName": "s3-key",
    } } } });
    let lotoai = resource(&[("gateway-minio", "vault")], &data);
    let mut observed = observed(&[("vault", "password", GOOD.as_bytes())]);
    let mut account = secret("username", b"given");
    let password = ByteString(b"given".to_vec());
    let values = account.data.as_mut().unwrap();
    values.insert("password".to_owned(), password);
    observed.secrets.insert("s3-key".to_owned(), account);
    let found = faults(&lotoai, &observed);
    assert_eq!(found.len(), 1, "{found:?}");
    let message = &found[0].message;
    assert!(
        message.contains("in a Secret of yours already"),
        "{message}"
    );
}

#[test]
fn each_credential_has_a_value_of_its_own() {
    let given = [
        ("gateway-orchestrator", "one"),
        ("orchestrator-agents", "two"),
    ];
    let lotoai = resource(&given, &json!({}));
    let with = |second: &str| {
        let first = ("one", "token", GOOD.as_bytes());
        faults(
            &lotoai,
            &observed(&[first, ("two", "token", second.as_bytes())]),
        )
    };
    assert_eq!(with("another-token-of-some-length"), []);
    let found = with(GOOD);
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = "the value of key token in Secret two is that of \
                    spec.credentials.given[gateway-orchestrator] as well";
    assert!(found[0].message.starts_with(expected), "{found:?}");
    assert!(!found[0].message.contains(GOOD));
}

#[test]
fn a_secret_of_the_operator_is_no_secret_of_somebody_else() {
    let lotoai = resource(&[("gateway-postgres", "demo-gateway-postgres")], &json!({}));
    let mut observed = observed(&[("demo-gateway-postgres", "password", GOOD.as_bytes())]);
    assert_eq!(faults(&lotoai, &observed), []);
    let made = observed.secrets.get_mut("demo-gateway-postgres").unwrap();
    let labels = made.metadata.labels.get_or_insert_default();
    labels.insert(labels::CREDENTIAL.to_owned(), "true".to_owned());
    let found = faults(&lotoai, &observed);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("the operator makes"), "{found:?}");
    // Without a label, because it is not there yet.
    let lotoai = resource(&[("gateway-postgres", "demo-ca")], &json!({}));
    let found = faults(&lotoai, &observed);
    assert!(found[0].message.contains("the operator makes"), "{found:?}");
}

#[test]
fn given_secrets_are_read_and_watched() {
    let given = [
        ("gateway-postgres", "a"),
        ("gateway-orchestrator", "b"),
        ("gateway-session", "c"),
        ("nobody", "d"),
        ("rag-server-qdrant", "e"),
        ("operator-traefik", "f"),
    ];
    let lotoai = resource(&given, &json!({}));
    let names = referenced_secrets("demo", &lotoai.spec);
    assert!(names.iter().eq(["a", "b", "c", "e"]), "{names:?}");
    let keys: Vec<_> = references(&lotoai.spec)
        .into_iter()
        .map(|reference| (reference.secret, reference.key))
        .collect();
    let expected = [
        ("b", "token"),
        ("a", "password"),
        ("c", "key"),
        ("e", "apiKey"),
    ];
    let expected = expected.map(|(secret, key)| (secret.to_owned(), key.to_owned()));
    assert_eq!(keys, expected);
}
