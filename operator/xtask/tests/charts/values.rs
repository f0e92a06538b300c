//! Values: each is documented, and what is none is refused.

use std::collections::BTreeSet;

use lotoai_api::Component;
use lotoai_api::versions::PROVISION;
use rstest::rstest;
use serde_json::{Map, Value};

use crate::helm::{Helm, OPERATOR, Prometheus, file};

/// What is passed on to the cluster as it stands, or to nobody.
const OPEN: [&str; 4] = [
    "global",
    "affinity.nodeAffinity",
    "affinity.podAffinity",
    "affinity.podAntiAffinity",
];

fn schema() -> Value {
    serde_json::from_str(&file("charts/lotoai-operator/values.schema.json")).unwrap()
}

fn defaults() -> Value {
    serde_yaml_ng::from_str(&file("charts/lotoai-operator/values.yaml")).unwrap()
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema["properties"].as_object()
}

fn every(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    for (name, below) in properties(schema).into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        visit(&path, below);
        every(below, &path, visit);
        every(&below["items"], &format!("{path}[]"), visit);
    }
}

#[test]
fn every_value_is_described_and_no_object_takes_what_it_does_not_know() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    let closed = |path: &str, schema: &Value| {
        let is_map = schema["additionalProperties"]["type"].is_string()
            || schema["additionalProperties"]["type"].is_array();
        let is_closed = schema["additionalProperties"] == false;
        if schema["type"] == "object" && !OPEN.contains(&path) {
            assert!(is_map || is_closed, "{path}");
            assert_eq!(is_closed, properties(schema).is_some(), "{path}");
        }
    };
    every(&schema, "", &mut |path, value| {
        assert!(value["description"].is_string(), "{path}");
        closed(path, value);
        closed(&format!("{path}[]"), &value["items"]);
    });
}

#[test]
fn the_schema_and_the_defaults_know_the_same_values() {
    fn compare(schema: &Value, defaults: &Value, path: &str) {
        let (Some(known), Some(given)) = (properties(schema), defaults.as_object()) else {
            return;
        };
        // What is empty by default takes what a pod takes.
        if given.is_empty() {
            return;
        }
        let known: BTreeSet<_> = known.keys().filter(|name| *name != "global").collect();
        assert_eq!(known, given.keys().collect(), "{path}");
        for (name, value) in given {
            compare(
                &schema["properties"][name],
                value,
                &format!("{path}.{name}"),
            );
        }
    }
    compare(&schema(), &defaults(), "");
}

#[test]
fn images_are_given_for_components_and_for_nothing_else() {
    let schema = schema();
    let names = schema["properties"]["images"]["propertyNames"]["enum"].as_array();
    let names: Vec<&str> = names.unwrap().iter().filter_map(Value::as_str).collect();
    let components = Component::ALL.map(Component::name);
    assert_eq!(names, [&components[..], &[PROVISION]].concat());
}

#[test]
fn every_value_is_on_the_page() {
    let page = file("docs/operator.md");
    for name in defaults().as_object().unwrap().keys() {
        let named = page
            .lines()
            .filter(|line| line.starts_with("| `"))
            .any(|line| line.contains(&format!("`{name}`")) || line.contains(&format!("`{name}.")));
        assert!(named, "{name}");
    }
}

#[rstest]
#[case("replica: 2", " replica ")]
#[case("metrics: { serviceMonitor: { enable: true } }", " enable ")]
#[case("replicas: 0", "replicas")]
#[case("images: { gatway: r/g:1 }", "gatway")]
#[case("otlp: { endpoint: 'https://collector:4317' }", "otlp.endpoint")]
#[case("watchNamespaces: [Team]", "watchNamespaces.0")]
#[case("pullPolicy: Sometimes", "pullPolicy")]
#[case("tolerations: [{ keys: a }]", " keys ")]
#[case("serviceAccount: { create: false }", " create ")]
fn what_is_no_value_is_refused(#[case] values: &str, #[case] said: &str) {
    let Some(helm) = Helm::find() else { return };
    let refusal = helm
        .template(OPERATOR, values, Prometheus::Absent)
        .unwrap_err();
    // Helm 3.14 has other words for it and writes places with dots.
    let words = refusal.replace('\'', "").replace('/', ".");
    assert!(words.contains(said), "{refusal}");
}
