//! What a change restarts.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use lotoai_api::spec::FirstUser;
use lotoai_plan::{Node, Observed, build, labels, required_secrets, validate};
use rstest::rstest;

use super::templates;
use crate::common::{credentials, objects, operator, provided, resource};

#[rstest]
#[case("demo-orchestrator-agents", &["demo-orchestrator", "demo-agents"])]
// Their servers read them when their data are made, and never again.
#[case("demo-postgres-admin", &["demo-provision-postgres"])]
#[case("demo-rabbitmq-admin", &["demo-provision-rabbitmq"])]
#[case("demo-keycloak-admin", &["demo-provision-keycloak"])]
#[case("demo-minio-admin", &["demo-minio", "demo-provision-s3"])]
#[case("demo-clickhouse-admin", &["demo-provision-clickhouse"])]
#[case("demo-gateway-session", &["demo-gateway"])]
fn a_changed_credential_restarts_exactly_those_who_use_it(
    #[case] changed: &str,
    #[case] expected: &[&str],
) {
    let (platform, before) = objects("minimal");
    let held = credentials(&platform);
    let required = required_secrets(&platform);
    let values = required
        .iter()
        .map(|spec| {
            let keys = spec.keys().into_iter().map(|key| {
                let mut text = held.text(spec.name(), key).to_owned();
                if spec.name() == changed && key != "username" {
                    text.push('x');
                }
                (key.to_owned(), text.into_bytes())
            });
            (spec.name().to_owned(), keys.collect())
        })
        .collect();
    let credentials = lotoai_plan::Credentials::new(&required, values).unwrap();
    let after = lotoai_plan::build(&platform, &credentials);
    let restarted: Vec<String> = templates(&before)
        .into_iter()
        .zip(templates(&after))
        .filter(|((_, a), (_, b))| a != b)
        .map(
            |((name, _), _)| match name.strip_prefix("demo-provision-") {
                // A Job's name ends in a digest.
                Some(_) => name[..name.len() - 9].to_owned(),
                None => name,
            },
        )
        .collect();
    assert_eq!(restarted, expected);
}

#[test]
fn a_changed_certificate_of_the_resource_restarts_the_proxy() {
    let (mut platform, before) = objects("custom");
    for ((secret, _), digest) in &mut platform.provided {
        if secret == "ai-example-com" {
            digest.push('0');
        }
    }
    let after = lotoai_plan::build(&platform, &credentials(&platform));
    let restarted: Vec<String> = templates(&before)
        .into_iter()
        .zip(templates(&after))
        .filter(|((_, a), (_, b))| a != b)
        .map(|((name, _), _)| name)
        .collect();
    assert_eq!(restarted, ["demo-traefik"]);
}

#[test]
fn a_changed_account_makes_a_new_job() {
    let (mut platform, before) = objects("minimal");
    platform.spec.identity.first_user = Some(FirstUser {
        email: "eva@example.com".to_owned(),
        ..FirstUser::default()
    });
    let after = lotoai_plan::build(&platform, &credentials(&platform));
    for store in lotoai_api::Store::ALL {
        let name = Node::Provision(store).name();
        let same = before.job_name(&name).unwrap() == after.job_name(&name).unwrap();
        assert_eq!(same, store != lotoai_api::Store::Keycloak);
    }
}

#[test]
fn the_first_user_is_made_by_the_name_in_its_secret() {
    let (mut platform, before) = objects("minimal");
    platform.spec.identity.first_user = Some(FirstUser {
        username: "ana".parse().unwrap(),
        ..FirstUser::default()
    });
    let file = |platform: &lotoai_plan::Platform| {
        let set = lotoai_plan::build(platform, &credentials(platform));
        let mut maps = set.config_maps.into_iter();
        let name = Some("demo-provision-keycloak");
        let map = maps.find(|map| map.metadata.name.as_deref() == name);
        let file = map.unwrap().data.unwrap()["provision.yaml"].clone();
        let file: serde_json::Value = serde_yaml_ng::from_str(&file).unwrap();
        (
            file["first_user"]["username"].clone(),
            set.jobs
                .iter()
                .filter_map(|job| job.metadata.name.clone())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(file(&platform).0, "ana", "there is none");
    let held = lotoai_plan::rotation::Held {
        username: Some("admin".to_owned()),
        standby: None,
        has_standby: false,
    };
    platform.held.insert("demo-first-user".to_owned(), held);
    let (username, jobs) = file(&platform);
    assert_eq!(username, "admin");
    let name = Node::Provision(lotoai_api::Store::Keycloak).name();
    let same = before.job_name(&name).unwrap();
    assert!(jobs.iter().any(|job| job == same), "nothing is made anew");
}

#[test]
fn a_new_volume_makes_a_new_job() {
    use lotoai_api::Store;
    let observed = |claim: &str, uid: &str| {
        let mut claims = provided();
        let mut object = PersistentVolumeClaim::default();
        object.metadata.uid = Some(uid.to_owned());
        claims.claims.insert(claim.to_owned(), object);
        claims
    };
    let names = |observed: &Observed| {
        let platform = validate(&resource("minimal"), observed, &operator("minimal")).unwrap();
        let set = build(&platform, &credentials(&platform));
        Store::ALL.map(|store| {
            let name = set.job_name(&Node::Provision(store).name());
            name.unwrap().to_owned()
        })
    };
    let changed = |claim: &str| -> Vec<Store> {
        let before = names(&observed(claim, "1"));
        let after = names(&observed(claim, "2"));
        assert_eq!(before, names(&observed(claim, "1")));
        let both = before.iter().zip(&after).zip(Store::ALL);
        both.filter(|((a, b), _)| a != b)
            .map(|(_, store)| store)
            .collect()
    };
    assert_eq!(changed("data-demo-rabbitmq-0"), [Store::Rabbitmq]);
    assert_eq!(changed("data-demo-minio-0"), [Store::S3]);
    assert_eq!(changed("data-demo-clickhouse-0"), [Store::Clickhouse]);
    // The realm lies in PostgreSQL.
    assert_eq!(
        changed("data-demo-postgres-0"),
        [Store::Postgres, Store::Keycloak]
    );
    assert_eq!(changed("data-demo-rag-server-0"), []);
}

#[test]
fn volumes_follow_the_deletion_policy_and_have_unversioned_labels() {
    for (fixture, expected) in [("minimal", "Retain"), ("demo", "Delete")] {
        let (_, set) = objects(fixture);
        for stateful_set in &set.stateful_sets {
            let spec = stateful_set.spec.as_ref().unwrap();
            let Some(claims) = &spec.volume_claim_templates else {
                continue;
            };
            let policy = spec
                .persistent_volume_claim_retention_policy
                .as_ref()
                .unwrap();
            assert_eq!(policy.when_deleted.as_deref(), Some(expected));
            let labels = claims[0].metadata.labels.as_ref().unwrap();
            assert!(!labels.contains_key(labels::VERSION));
        }
    }
}

#[test]
fn the_ingestion_of_before_ends_before_the_next_one_starts() {
    let (_, set) = objects("minimal");
    let strategies: Vec<_> = set
        .objects()
        .into_iter()
        .filter(|object| object.resource.kind == "Deployment")
        .map(|object| {
            (
                object.name.clone(),
                object.body["spec"]["strategy"]["type"].clone(),
            )
        })
        .filter(|(_, strategy)| strategy == "Recreate")
        .map(|(name, _)| name)
        .collect();
    assert_eq!(strategies, ["demo-rag-ingest"]);
}
