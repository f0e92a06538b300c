//! The charts as packages, and what holds for every object of them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{CRDS, FILES, Helm, NAMESPACE, OPERATOR, Prometheus, file, values};

/// What a chart says of itself.
pub(crate) fn chart(name: &str) -> Value {
    serde_yaml_ng::from_str(&file(&format!("charts/{name}/Chart.yaml"))).unwrap()
}

#[test]
fn helm_finds_no_fault() {
    let Some(helm) = Helm::find() else { return };
    for name in FILES {
        let linted = helm.lint(OPERATOR, &values(name));
        assert!(linted.is_ok(), "{name}: {linted:?}");
    }
    let linted = helm.lint(CRDS, "");
    assert!(linted.is_ok(), "{linted:?}");
}

#[test]
fn every_object_has_a_name_of_its_own_a_place_and_labels() {
    let Some(helm) = Helm::find() else { return };
    for name in FILES {
        let mut seen = BTreeSet::new();
        for object in helm.objects(name) {
            let metadata = &object["metadata"];
            let id = format!(
                "{} {}/{}",
                object["kind"], metadata["namespace"], metadata["name"]
            );
            assert!(seen.insert(id.clone()), "{name}: {id} twice");
            let kind = object["kind"].as_str().unwrap();
            let is_cluster_wide = kind.starts_with("Cluster");
            assert_eq!(metadata["namespace"].is_string(), !is_cluster_wide, "{id}");
            for label in ["app.kubernetes.io/name", "app.kubernetes.io/instance"] {
                assert!(metadata["labels"][label].is_string(), "{id}: {label}");
            }
        }
    }
}

#[test]
fn the_definition_is_kept_and_is_the_generated_one() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.template(CRDS, "", Prometheus::Absent).unwrap();
    let [object] = &objects[..] else {
        panic!("{} objects", objects.len())
    };
    let mut object = object.clone();
    let keep = object["metadata"]["annotations"]["helm.sh/resource-policy"].take();
    assert_eq!(keep, "keep");
    let generated: Value = serde_yaml_ng::from_str(&file("crds/lotoais.yaml")).unwrap();
    assert_eq!(object["spec"], generated["spec"]);
}

#[test]
fn the_operators_chart_holds_no_definition() {
    let Some(helm) = Helm::find() else { return };
    for name in FILES {
        let objects = helm.objects(name);
        assert!(crate::helm::of(&objects, "CustomResourceDefinition").is_empty());
    }
}

#[test]
fn both_charts_have_the_version_of_the_workspace() {
    for name in [OPERATOR, CRDS] {
        let chart = chart(name);
        assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"), "{name}");
        assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"), "{name}");
        assert_eq!(chart["kubeVersion"], ">=1.33.0-0", "{name}");
    }
}

#[test]
fn the_notes_say_what_to_do_next() {
    let Some(helm) = Helm::find() else { return };
    let Some(notes) = helm.notes("") else {
        return;
    };
    for command in [
        "helm install lotoai-crds",
        &format!("helm test lotoai --namespace {NAMESPACE}"),
        "kubectl apply -f -",
        "kubectl wait lotoai/demo --for=condition=Ready",
        "kubectl get secret demo-first-user",
    ] {
        assert!(notes.contains(command), "{command} is not in {notes}");
    }
    let notes = helm.notes(&values("namespaced")).unwrap();
    assert!(
        notes.contains("kubectl apply --namespace team-a -f -"),
        "{notes}"
    );
}
