use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use lotoai_api::LotoAI;
use lotoai_api::spec::PullPolicy;
use rstest::rstest;
use serde_json::{Value as Json, json};

use super::super::{Credentials, USERNAME, required_secrets};
use super::*;
use crate::kinds::Cluster;
use crate::observed::OperatorEnv;
use crate::validate;

const POSTGRES: &str = "data-demo-postgres-0";
const RABBITMQ: &str = "data-demo-rabbitmq-0";
const ADMINISTRATORS: [&str; 3] = [
    "demo-keycloak-admin",
    "demo-postgres-admin",
    "demo-rabbitmq-admin",
];

fn meta(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        uid: Some(format!("uid-of-{name}")),
        ..ObjectMeta::default()
    }
}

/// A namespace with these volume claims and Secrets.
fn observed(claims: &[&str], secrets: &[&str]) -> Observed {
    let claim = |name: &&str| {
        let metadata = meta(name);
        let claim = PersistentVolumeClaim {
            metadata,
            ..PersistentVolumeClaim::default()
        };
        ((*name).to_owned(), claim)
    };
    let secret = |name: &&str| {
        let metadata = meta(name);
        let secret = Secret {
            metadata,
            ..Secret::default()
        };
        ((*name).to_owned(), secret)
    };
    Observed {
        claims: claims.iter().map(claim).collect(),
        secrets: secrets.iter().map(secret).collect(),
        ..Observed::default()
    }
}

fn platform(spec: Json, observed: &Observed) -> Platform {
    let loto = json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": "ai", "uid": "u" },
        "spec": spec,
    });
    let loto: LotoAI = serde_json::from_value(loto).unwrap();
    let env = OperatorEnv {
        namespace: "lotoai-system".to_owned(),
        version: "0.1.0".to_owned(),
        images: BTreeMap::new(),
        pull_policy: PullPolicy::IfNotPresent,
        otlp_endpoint: None,
    };
    validate(&loto, observed, &env).unwrap()
}

fn all_lost(spec: Json, observed: &Observed) -> Vec<Lost> {
    let platform = platform(spec, observed);
    lost(&platform, observed, &required_secrets(&platform))
}

fn smallest() -> Json {
    json!({ "url": "https://a.example" })
}

fn names(lost: &[Lost]) -> Vec<&str> {
    lost.iter().map(|lost| lost.secret.as_str()).collect()
}

#[rstest]
#[case::a_first_installation(&[], &[], &[])]
#[case::nothing_but_the_data(&[POSTGRES, RABBITMQ], &[], &ADMINISTRATORS)]
#[case::of_one_store(&[RABBITMQ], &[], &["demo-rabbitmq-admin"])]
#[case::of_something_else(&["data-demo-rabbitmq-x", "data-demo-rabbitmq"], &[], &[])]
#[case::a_store_that_begins_anew(&[RABBITMQ], &["demo-rabbitmq-admin"], &[])]
#[case::all_is_there(&[POSTGRES, RABBITMQ], &ADMINISTRATORS, &[])]
#[case::one_is_gone(&[POSTGRES, RABBITMQ], &[ADMINISTRATORS[0], ADMINISTRATORS[2]], &["demo-postgres-admin"])]
// Their servers begin with what the Secret holds now.
#[case::other_stores(&["data-demo-minio-0", "data-demo-clickhouse-0"], &[], &[])]
#[case::of_another_platform(&["data-other-postgres-0"], &[], &[])]
fn an_administrator_is_lost_when_its_data_are_there_and_its_secret_is_not(
    #[case] claims: &[&str],
    #[case] secrets: &[&str],
    #[case] expected: &[&str],
) {
    let lost = all_lost(smallest(), &observed(claims, secrets));
    assert_eq!(names(&lost), expected);
}

#[test]
fn data_on_their_way_out_lock_nobody_out() {
    let mut observed = observed(&[POSTGRES, RABBITMQ], &[]);
    let claim = observed.claims.get_mut(POSTGRES).unwrap();
    claim.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    let lost = all_lost(smallest(), &observed);
    assert_eq!(names(&lost), ["demo-rabbitmq-admin"]);
}

/// A resource is deleted with its data and made anew at once: its claims wait for their StatefulSet.
#[rstest]
#[case::gone(None, &["demo-rabbitmq-admin"])]
#[case::of_the_resource_before(Some(("uid-of-set", "before")), &["demo-rabbitmq-admin"])]
#[case::of_a_set_before(Some(("another", "u")), &["demo-rabbitmq-admin"])]
// The control: this one goes with the platform as it is.
#[case::of_the_platform(Some(("uid-of-set", "u")), &ADMINISTRATORS)]
fn data_that_go_with_what_is_gone_lock_nobody_out(
    #[case] set: Option<(&str, &str)>,
    #[case] expected: &[&str],
) {
    let owner = |kind: &str, uid: &str| OwnerReference {
        kind: kind.to_owned(),
        uid: uid.to_owned(),
        ..OwnerReference::default()
    };
    let mut observed = observed(&[POSTGRES, RABBITMQ], &[]);
    let claim = observed.claims.get_mut(POSTGRES).unwrap();
    claim.metadata.owner_references = Some(vec![owner("StatefulSet", "uid-of-set")]);
    if let Some((uid, platform)) = set {
        let mut set = StatefulSet::default();
        set.metadata.uid = Some(uid.to_owned());
        set.metadata.owner_references = Some(vec![owner("LotoAI", platform)]);
        let name = "demo-postgres".to_owned();
        observed.stateful_sets.insert(name, set);
    }
    assert_eq!(names(&all_lost(smallest(), &observed)), expected);
}

#[test]
fn a_cluster_has_its_data_as_long_as_one_server_has() {
    let mut observed = observed(
        &[RABBITMQ, "data-demo-rabbitmq-1", "data-demo-rabbitmq-2"],
        &[],
    );
    let data = |observed: &Observed| {
        let mut spec = smallest();
        spec["components"] = json!({ "rabbitmq": { "replicas": 3 } });
        let lost = all_lost(spec, observed);
        lost.first().map(|lost| lost.data.to_string())
    };
    let all = "PersistentVolumeClaim/data-demo-rabbitmq-0 (and 2 more)";
    assert_eq!(data(&observed).as_deref(), Some(all));
    for name in [RABBITMQ, "data-demo-rabbitmq-1"] {
        let claim = observed.claims.get_mut(name).unwrap();
        claim.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    }
    let last = "PersistentVolumeClaim/data-demo-rabbitmq-2";
    assert_eq!(data(&observed).as_deref(), Some(last));
    // Its first server's may be gone altogether.
    observed.claims.remove(RABBITMQ);
    assert_eq!(data(&observed).as_deref(), Some(last));
    observed.claims.clear();
    assert_eq!(data(&observed), None);
}

#[test]
fn a_given_password_is_known_beside_the_data() {
    let mut spec = smallest();
    spec["credentials"] = json!({ "given": { "rabbitmq-admin": { "name": "vault" } } });
    let mut observed = observed(&[RABBITMQ], &["vault"]);
    let value = b"a-password-of-24-characters-or-more".to_vec();
    let data = [("password".to_owned(), k8s_openapi::ByteString(value))];
    observed.secrets.get_mut("vault").unwrap().data = Some(data.into());
    assert!(all_lost(spec, &observed).is_empty());
}

/// Whether Keycloak's administrator counts as lost beside a database with these Secrets.
fn is_keycloak_lost(secrets: &[&str], has_run: bool) -> bool {
    let mut observed = observed(&[POSTGRES], secrets);
    if has_run {
        let name = "demo-keycloak".to_owned();
        observed.stateful_sets.insert(name, StatefulSet::default());
    }
    let lost = all_lost(smallest(), &observed);
    names(&lost).contains(&"demo-keycloak-admin")
}

#[test]
fn a_keycloak_that_was_never_there_has_lost_nothing() {
    let others = ["demo-gateway-session", "demo-postgres-admin"];
    assert!(!is_keycloak_lost(&others, false));
    // Each of these says that it was.
    assert!(is_keycloak_lost(&others, true));
    let account = [&others[..], &["demo-keycloak-postgres"]].concat();
    assert!(is_keycloak_lost(&account, false));
    // Nothing is left to tell.
    assert!(is_keycloak_lost(&[], false));
}

#[test]
fn what_is_told_names_secret_and_data_and_both_ways_out() {
    let one = all_lost(smallest(), &observed(&[RABBITMQ], &[]));
    assert_eq!(
        told(&one),
        "Secret/demo-rabbitmq-admin: its password is in the data of \
         PersistentVolumeClaim/data-demo-rabbitmq-0, which no other opens; restore the Secret from a \
         backup, or delete StatefulSet/demo-rabbitmq and its volume claims to begin anew without \
         those data"
    );
    let two = all_lost(smallest(), &observed(&[POSTGRES], &[]));
    assert_eq!(
        told(&two),
        "Secret/demo-keycloak-admin, Secret/demo-postgres-admin: their passwords are in the data of \
         PersistentVolumeClaim/data-demo-postgres-0, which no other opens; restore the Secrets from a \
         backup, or delete StatefulSet/demo-postgres and its volume claims to begin anew without \
         those data"
    );
}

#[test]
fn a_delegated_store_is_named_as_what_asks_for_it() {
    let mut spec = smallest();
    spec["data"] =
        json!({ "postgres": { "delegated": { "operator": "CloudNativePG", "instances": 1 } } });
    let mut observed = Observed::default();
    let cluster = Cluster::new(meta("demo-postgres"), json!({}));
    observed
        .clusters
        .insert("demo-postgres".to_owned(), cluster);
    let lost = all_lost(spec.clone(), &observed);
    assert_eq!(names(&lost), ["demo-keycloak-admin"]);
    let told = told(&lost);
    assert!(
        told.contains("in the data of Cluster/demo-postgres,"),
        "{told}"
    );
    assert!(told.contains("delete Cluster/demo-postgres to"), "{told}");
    let cluster = observed.clusters.get_mut("demo-postgres").unwrap();
    cluster.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    assert!(all_lost(spec, &observed).is_empty());
}

/// What is said of a key that the Secret of RabbitMQ's administrator lacks.
fn missing(claims: &[&str], key: &str) -> String {
    let observed = observed(claims, &[]);
    let platform = platform(smallest(), &observed);
    let mut required = required_secrets(&platform);
    required.retain(|spec| spec.name() == "demo-rabbitmq-admin");
    let keys = [USERNAME, PASSWORD].into_iter().filter(|it| *it != key);
    let held = keys.map(|key| (key.to_owned(), b"x".to_vec())).collect();
    let values = BTreeMap::from([("demo-rabbitmq-admin".to_owned(), held)]);
    let missing = Credentials::new(&required, values).unwrap_err();
    missing.to_string()
}

#[test]
fn nobody_is_told_to_delete_what_the_data_ask_for() {
    assert_eq!(
        missing(&[], PASSWORD),
        "Secret demo-rabbitmq-admin has no key password: delete the Secret, and it is made anew"
    );
    assert_eq!(
        missing(&[RABBITMQ], PASSWORD),
        "Secret demo-rabbitmq-admin has no key password: its value is in the data of \
         PersistentVolumeClaim/data-demo-rabbitmq-0, which no other opens; restore it from a backup, \
         or delete the Secret, StatefulSet/demo-rabbitmq and its volume claims to begin anew without \
         those data"
    );
}
