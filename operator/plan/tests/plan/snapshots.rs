//! Golden files: one per object. `minimal` shows every object; the other fixtures show those that
//! differ from it in more than the version label. `INSTA_UPDATE=always cargo test -p lotoai-plan` writes them anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{FIXTURES, objects};
use lotoai_api::Component;
use lotoai_plan::{labels, required_secrets};
use serde_json::{Value, json};

/// Digests change with every word of a configuration; that they change is tested elsewhere.
fn redact(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                if [labels::CONFIG_HASH, labels::ADMINISTRATOR_HASH].contains(&key.as_str()) {
                    *inner = "[hash]".into();
                } else {
                    redact(inner);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every object of a fixture by the name of its golden file.
fn rendered(fixture: &str) -> BTreeMap<String, Value> {
    let (platform, set) = objects(fixture);
    let mut all = BTreeMap::new();
    for object in set.objects() {
        let mut body = object.body;
        redact(&mut body);
        let mut name = object.name.clone();
        if object.resource.kind == "Job" {
            name.truncate(name.len() - 9);
            body["metadata"]["name"] = format!("{name}-[hash]").into();
        }
        all.insert(format!("{}-{name}", object.resource.kind), body);
    }
    let secrets: Vec<Value> = required_secrets(&platform)
        .iter()
        .map(|spec| {
            json!({
                "metadata": spec.metadata,
                "purpose": spec.purpose,
                "type": spec.type_(),
                "kind": format!("{:?}", spec.kind),
            })
        })
        .collect();
    all.insert("credentials".to_owned(), json!(secrets));
    all
}

fn without_version(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| key.as_str() != labels::VERSION)
            .map(|(key, inner)| (key.clone(), without_version(inner)))
            .collect(),
        Value::Array(list) => list.iter().map(without_version).collect(),
        other => other.clone(),
    }
}

#[test]
fn objects_are_as_recorded() {
    let minimal = rendered("minimal");
    let same = |name: &str, body: &Value| {
        minimal
            .get(name)
            .is_some_and(|other| without_version(other) == without_version(body))
    };
    for fixture in FIXTURES {
        for (name, body) in rendered(fixture) {
            if fixture != "minimal" && same(&name, &body) {
                continue;
            }
            insta::with_settings!({
                snapshot_path => format!("snapshots/{fixture}"),
                prepend_module_to_snapshot => false,
                omit_expression => true,
            }, {
                insta::assert_yaml_snapshot!(name, body);
            });
        }
    }
}

#[test]
fn fixtures_differ_in_what_they_ask_for_and_in_nothing_else() {
    let names = |fixture| rendered(fixture).into_keys().collect::<BTreeSet<_>>();
    let minimal = names("minimal");
    // Those without a part of their own lack its objects, and may have others in their place.
    let whole = FIXTURES.into_iter().filter(|fixture| {
        // Qdrant has no part in `minimal`.
        let platform = objects(fixture).0;
        platform.spec.rag.vector_store.is_embedded()
            && platform.topology.components().count() == Component::ALL.len() - 1
    });
    for fixture in whole {
        let more: Vec<_> = names(fixture).difference(&minimal).cloned().collect();
        let known = more.iter().all(|name| {
            name.starts_with("PodDisruptionBudget-")
                || name.starts_with("HorizontalPodAutoscaler-")
                || name.starts_with("Certificate-")
                || name.ends_with("-nodes")
                || name == "Service-demo-traefik-probe"
                // Budgets and prices.
                || name == "ConfigMap-demo-gateway"
        });
        assert!(known, "{fixture}: {more:?}");
        assert!(minimal.is_subset(&names(fixture)), "{fixture}");
    }
}

#[test]
fn an_external_store_takes_exactly_its_objects_away() {
    let names = |fixture| rendered(fixture).into_keys().collect::<BTreeSet<_>>();
    let gone = |fixture| -> Vec<String> {
        assert!(names(fixture).is_subset(&names("minimal")), "{fixture}");
        names("minimal")
            .difference(&names(fixture))
            .cloned()
            .collect()
    };
    let usual = |component: &str, more: &[&str]| -> Vec<String> {
        let mut kinds = vec!["NetworkPolicy", "Service", "ServiceAccount", "StatefulSet"];
        kinds.extend(more);
        let mut all: Vec<String> = kinds
            .into_iter()
            .map(|kind| match kind {
                "Secret" => format!("Secret-demo-{component}-config"),
                kind => format!("{kind}-demo-{component}"),
            })
            .collect();
        all.sort();
        all
    };
    assert_eq!(gone("external-postgres"), usual("postgres", &["ConfigMap"]));
    assert_eq!(gone("external-rabbitmq"), usual("rabbitmq", &["Secret"]));
    assert_eq!(
        gone("external-clickhouse"),
        usual("clickhouse", &["ConfigMap", "Secret"])
    );
    assert_eq!(gone("external-s3"), usual("minio", &[]));
    let mut keycloak = usual("keycloak", &[]);
    let job = ["ConfigMap", "Job", "NetworkPolicy", "ServiceAccount"];
    keycloak.extend(job.map(|kind| format!("{kind}-demo-provision-keycloak")));
    keycloak.sort();
    assert_eq!(gone("external-oidc"), keycloak);
}

#[test]
fn vectors_that_are_not_embedded_need_no_volume_of_rag_server() {
    let names = |fixture| rendered(fixture).into_keys().collect::<BTreeSet<_>>();
    let difference = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
        a.difference(b).cloned().collect()
    };
    let (minimal, managed) = (names("minimal"), names("qdrant"));
    assert_eq!(
        difference(&minimal, &managed),
        ["StatefulSet-demo-rag-server"]
    );
    let own = ["NetworkPolicy", "Service", "ServiceAccount", "StatefulSet"];
    let mut more = own.map(|kind| format!("{kind}-demo-qdrant")).to_vec();
    more.insert(0, "Deployment-demo-rag-server".to_owned());
    assert_eq!(difference(&managed, &minimal), more);
    assert_eq!(
        difference(&names("external-qdrant"), &minimal),
        ["Deployment-demo-rag-server"]
    );
}

#[test]
fn a_delegated_store_has_one_object_in_the_place_of_all_others() {
    let names = |fixture| rendered(fixture).into_keys().collect::<BTreeSet<_>>();
    let delegated = names("delegated-postgres");
    let more: Vec<_> = delegated
        .difference(&names("external-postgres"))
        .cloned()
        .collect();
    assert_eq!(more, ["Cluster-demo-postgres"]);
    assert!(names("external-postgres").is_subset(&delegated));
}

#[test]
fn building_twice_gives_the_same() {
    for fixture in FIXTURES {
        assert_eq!(rendered(fixture), rendered(fixture));
    }
}
