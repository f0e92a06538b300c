//! What Artifact Hub reads of the charts, held against its documentation ("Artifact Hub annotations in
//! Helm Chart.yaml file") and against what it is said of.

use std::collections::BTreeSet;

use lotoai_api::{Component, versions};
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::helm::{CRDS, OPERATOR, file};
use crate::release::chart;

const PREFIX: &str = "artifacthub.io/";

/// What an annotation holds. Each is a text, whatever stands in it.
enum Form {
    /// A word or a sentence.
    Text,
    /// One of these, in letters of any size.
    OneOf(&'static [&'static str]),
    /// A list in YAML of objects with these fields, of which those with `true` must be there.
    List(&'static [(&'static str, bool)]),
}

const FLAG: Form = Form::OneOf(&["true", "false"]);
const CHANGES: &[&str] = &[
    "added",
    "changed",
    "deprecated",
    "removed",
    "fixed",
    "security",
];

static FORMS: [(&str, Form); 15] = [
    ("alternativeName", Form::Text),
    (
        "category",
        Form::OneOf(&[
            "ai-machine-learning",
            "database",
            "integration-delivery",
            "monitoring-logging",
            "networking",
            "security",
            "storage",
            "streaming-messaging",
            "skip-prediction",
        ]),
    ),
    (
        "changes",
        Form::List(&[("description", true), ("kind", false), ("links", false)]),
    ),
    ("containsSecurityUpdates", FLAG),
    (
        "crds",
        Form::List(&[
            ("kind", true),
            ("version", true),
            ("name", true),
            ("displayName", true),
            ("description", true),
        ]),
    ),
    (
        "crdsExamples",
        Form::List(&[
            ("apiVersion", true),
            ("kind", true),
            ("metadata", true),
            ("spec", true),
        ]),
    ),
    (
        "images",
        Form::List(&[
            ("name", true),
            ("image", true),
            ("whitelisted", false),
            ("platforms", false),
        ]),
    ),
    ("license", Form::Text),
    ("links", Form::List(&[("name", true), ("url", true)])),
    (
        "maintainers",
        Form::List(&[("name", true), ("email", true)]),
    ),
    ("operator", FLAG),
    (
        "operatorCapabilities",
        Form::OneOf(&[
            "basic install",
            "seamless upgrades",
            "full lifecycle",
            "deep insights",
            "auto pilot",
        ]),
    ),
    ("prerelease", FLAG),
    ("recommendations", Form::List(&[("url", true)])),
    ("screenshots", Form::List(&[("title", true), ("url", true)])),
];

/// Everything that Artifact Hub would not take, or take for something else.
fn faults(chart: &Value) -> Vec<String> {
    let annotations = chart["annotations"].as_object().into_iter().flatten();
    annotations
        .filter_map(|(key, value)| {
            let key = key.strip_prefix(PREFIX)?;
            let fault = match value.as_str() {
                Some(text) => fault(key, text)?,
                None => "is no text, and Helm takes no other".to_owned(),
            };
            Some(format!("{key} {fault}"))
        })
        .collect()
}

fn fault(key: &str, text: &str) -> Option<String> {
    let Some((_, form)) = FORMS.iter().find(|(name, _)| *name == key) else {
        return Some("is no annotation of Artifact Hub".to_owned());
    };
    match form {
        Form::Text => text.trim().is_empty().then(|| "is empty".to_owned()),
        Form::OneOf(values) => {
            let text = text.to_lowercase();
            (!values.contains(&text.as_str())).then(|| format!("is none of {values:?}"))
        }
        Form::List(fields) => fault_of_list(key, text, fields),
    }
}

fn fault_of_list(key: &str, text: &str, fields: &[(&str, bool)]) -> Option<String> {
    let entries: Vec<Map<String, Value>> = match serde_yaml_ng::from_str(text) {
        Ok(entries) => entries,
        Err(error) => return Some(format!("is no list of objects: {error}")),
    };
    if entries.is_empty() {
        return Some("is empty".to_owned());
    }
    entries.iter().find_map(|entry| {
        let lacks = |field: &&(&str, bool)| field.1 && !entry.contains_key(field.0);
        if let Some((field, _)) = fields.iter().find(lacks) {
            return Some(format!("has an entry without {field}: {entry:?}"));
        }
        let known = |name: &&String| fields.iter().any(|(field, _)| field == name);
        if let Some(name) = entry.keys().find(|name| !known(name)) {
            return Some(format!("has an entry with {name}, which is not read"));
        }
        let kind = entry.get("kind").and_then(Value::as_str);
        if key == "changes" && kind.is_some_and(|kind| !CHANGES.contains(&kind)) {
            return Some(format!("has a change of no kind: {entry:?}"));
        }
        let url = entry.get("url").and_then(Value::as_str);
        url.filter(|url| !url.starts_with("https://"))
            .map(|url| format!("leads to {url}, which is no https:// address"))
    })
}

/// An annotation that is YAML itself.
fn annotation(chart: &Value, name: &str) -> Value {
    let key = format!("{PREFIX}{name}");
    serde_yaml_ng::from_str(chart["annotations"][&key].as_str().unwrap()).unwrap()
}

#[rstest]
fn every_annotation_is_one_that_is_read(#[values(OPERATOR, CRDS)] name: &str) {
    let faults = faults(&chart(name));
    assert!(faults.is_empty(), "{faults:#?}");
}

#[rstest]
#[case("lisence", json!("Apache-2.0"), "no annotation of Artifact Hub")]
#[case("license", json!(""), "is empty")]
#[case("prerelease", json!(true), "is no text")]
#[case("prerelease", json!("yes"), "is none of")]
#[case("category", json!("ai"), "is none of")]
#[case("operatorCapabilities", json!("Everything"), "is none of")]
#[case("changes", json!("- Added this\n"), "is no list")]
#[case("changes", json!("[]"), "is empty")]
#[case("changes", json!("- { kind: new, description: this }"), "of no kind")]
#[case("crds", json!("- { kind: LotoAI, version: v1 }"), "without name")]
#[case("images", json!("- { name: a, image: b, tag: c }"), "with tag")]
#[case("links", json!("- { name: docs, url: docs/operator.md }"), "no https:// address")]
#[case("crdsExamples", json!("- kind: LotoAI\n  spec: {\n"), "is no list")]
fn one_that_is_not_is_found(#[case] key: &str, #[case] value: Value, #[case] fault: &str) {
    let mut chart = chart(OPERATOR);
    chart["annotations"][format!("{PREFIX}{key}")] = value;
    let faults = faults(&chart);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains(fault), "{faults:?}");
}

#[rstest]
fn it_is_told_the_truth(#[values(OPERATOR, CRDS)] name: &str) {
    let chart = chart(name);
    let said = |key: &str| chart["annotations"][format!("{PREFIX}{key}")].clone();
    assert_eq!(said("license"), env!("CARGO_PKG_LICENSE"));
    assert_eq!(said("category"), "ai-machine-learning");
    let is_stable = chart["version"]
        .as_str()
        .unwrap()
        .starts_with(|first| first != '0');
    assert_eq!(said("prerelease"), (!is_stable).to_string());
    assert_eq!(said("operator"), (name == OPERATOR).to_string());
    assert!(said("changes").is_string(), "what is new is told");
    let generated: Value = serde_yaml_ng::from_str(&file("crds/lotoais.yaml")).unwrap();
    let crds = annotation(&chart, "crds");
    assert_eq!(crds.as_array().unwrap().len(), 1);
    let crd = &crds[0];
    assert_eq!(crd["name"], generated["metadata"]["name"]);
    assert_eq!(crd["version"], generated["spec"]["versions"][0]["name"]);
    assert_eq!(crd["kind"], generated["spec"]["names"]["kind"]);
}

#[test]
fn it_is_told_every_image_once() {
    let version = env!("CARGO_PKG_VERSION");
    let provision = versions::Source::Workload(versions::PROVISION).reference(version);
    let operator = versions::Source::Workload("operator").reference(version);
    let delegated = versions::CLOUDNATIVE_PG_POSTGRES.reference(version);
    let mut expected: BTreeSet<String> = [provision, operator, delegated].into();
    expected.extend(Component::ALL.map(|component| component.image().reference(version)));
    let images = annotation(&chart(OPERATOR), "images");
    let images = images.as_array().unwrap();
    let all = |field: &str| -> BTreeSet<String> {
        let values = images.iter().map(|image| image[field].as_str().unwrap());
        values.map(str::to_owned).collect()
    };
    assert_eq!(all("image"), expected);
    assert_eq!(all("name").len(), images.len());
    assert_eq!(images.len(), expected.len());
}

#[rstest]
#[case(OPERATOR, &["demo", "gateway-api", "external"])]
#[case(CRDS, &["demo"])]
fn the_examples_are_samples(#[case] name: &str, #[case] samples: &[&str]) {
    let samples: Vec<Value> = samples
        .iter()
        .map(|sample| serde_yaml_ng::from_str(&file(&format!("samples/{sample}.yaml"))).unwrap())
        .collect();
    let examples = annotation(&chart(name), "crdsExamples");
    assert_eq!(examples, Value::Array(samples));
}
