//! The charts as packages, and what holds for every object of them.

use std::collections::BTreeSet;

use lotoai_api::{Component, versions};
use rstest::rstest;
use serde_json::Value;

use crate::helm::{CRDS, FILES, Helm, NAMESPACE, OPERATOR, Prometheus, file, values};

fn chart(name: &str) -> Value {
    serde_yaml_ng::from_str(&file(&format!("charts/{name}/Chart.yaml"))).unwrap()
}

/// An annotation that is YAML itself.
fn annotation(chart: &Value, name: &str) -> Value {
    let key = format!("artifacthub.io/{name}");
    serde_yaml_ng::from_str(chart["annotations"][&key].as_str().unwrap()).unwrap()
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

#[rstest]
fn artifact_hub_is_told_the_truth(#[values(OPERATOR, CRDS)] name: &str) {
    let chart = chart(name);
    let said = |key: &str| chart["annotations"][format!("artifacthub.io/{key}")].clone();
    assert_eq!(said("license"), "Apache-2.0");
    assert_eq!(said("category"), "ai-machine-learning");
    assert_eq!(said("prerelease"), "true");
    let generated: Value = serde_yaml_ng::from_str(&file("crds/lotoais.yaml")).unwrap();
    let crd = &annotation(&chart, "crds")[0];
    assert_eq!(crd["name"], generated["metadata"]["name"]);
    assert_eq!(crd["version"], generated["spec"]["versions"][0]["name"]);
    assert_eq!(crd["kind"], generated["spec"]["names"]["kind"]);
}

#[test]
fn artifact_hub_is_told_every_image() {
    let version = env!("CARGO_PKG_VERSION");
    let provision = versions::Source::Workload(versions::PROVISION).reference(version);
    let operator = versions::Source::Workload("operator").reference(version);
    let mut expected: BTreeSet<String> = [provision, operator].into();
    expected.extend(Component::ALL.map(|component| component.image().reference(version)));
    let images = annotation(&chart(OPERATOR), "images");
    let told = images.as_array().unwrap().iter();
    let told: BTreeSet<String> = told
        .map(|image| image["image"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn the_example_is_the_sample() {
    let sample: Value = serde_yaml_ng::from_str(&file("samples/demo.yaml")).unwrap();
    assert_eq!(annotation(&chart(OPERATOR), "crdsExamples")[0], sample);
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
