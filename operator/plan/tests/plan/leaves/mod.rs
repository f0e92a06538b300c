//! Every leaf of the spec reaches an object or the status: a leaf without a line here fails.

mod agents;
mod edge;
mod gateway;
mod placement;
mod platform;
mod stores;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::common::{credentials, operator, provided, resource};
use kube_core::CustomResourceExt as _;
use lotoai_api::LotoAI;
use lotoai_plan::{Outcome, Pass, ProbeOutcome, build, gates, required_secrets, status, validate};
use serde_json::Value;

/// Path of the leaf, what is added to the smallest spec, and a text that then appears.
pub(crate) type Case = (&'static str, Value, &'static str);

/// Adds the keys of one object to another.
pub(crate) fn merge(object: &mut Value, extra: Value) {
    let (Some(object), Value::Object(extra)) = (object.as_object_mut(), extra) else {
        panic!("not objects");
    };
    object.extend(extra);
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = platform::platform_cases();
    cases.extend(agents::agent_cases());
    cases.extend(agents::tool_cases());
    cases.extend(stores::storage_cases());
    cases.extend(placement::component_cases());
    cases.extend(placement::pod_cases());
    cases.extend(edge::edge_cases());
    cases.extend(gateway::gateway_cases());
    cases.extend(stores::external_cases());
    cases.extend(stores::delegated_cases());
    cases
}

/// Collects the paths of all parts of a schema that have no parts themselves.
fn walk(schema: &Value, path: &str, leaves: &mut BTreeSet<String>) {
    let mut inner = Vec::new();
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        inner.push((format!("{path}{dot}{name}"), part));
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            inner.push((format!("{path}{mark}"), &schema[key]));
        }
    }
    if inner.is_empty() {
        leaves.insert(path.to_owned());
    }
    for (path, part) in inner {
        walk(part, &path, leaves);
    }
}

/// The schema of the spec.
pub(crate) fn schema() -> Value {
    let crd = serde_json::to_value(LotoAI::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"].clone()
}

pub(crate) fn leaves() -> BTreeSet<String> {
    let mut leaves = BTreeSet::new();
    walk(&schema(), "", &mut leaves);
    leaves
}

/// All that comes of a resource, as one text. Texts inside of objects are there as they are.
fn outcome(lotoai: &LotoAI) -> String {
    let env = operator("minimal");
    let observed = provided();
    let platform = validate(lotoai, &observed, &env).unwrap();
    let prepared = build(&platform, &credentials(&platform));
    let gates = gates(&platform, &prepared, &observed);
    let outcome = if lotoai.spec.paused {
        Outcome::Paused {
            platform: &platform,
        }
    } else {
        Outcome::Reconciled {
            platform: &platform,
            prepared: &prepared,
            gates: &gates,
        }
    };
    let pass = Pass {
        lotoai,
        env: &env,
        observed: &observed,
        probe: &ProbeOutcome::Pending,
        outcome,
    };
    let status = status(&pass, "2026-11-22T10:00:00Z".parse().unwrap());
    let mut text = serde_json::to_string(&status).unwrap();
    for object in prepared.objects() {
        text.push_str(&object.body.to_string());
    }
    for map in &prepared.config_maps {
        for file in map.data.iter().flat_map(|data| data.values()) {
            text.push_str(file);
        }
    }
    for secret in required_secrets(&platform) {
        write!(text, "{:?}", secret.kind).unwrap();
    }
    text
}

#[test]
fn every_leaf_of_the_spec_reaches_an_object_or_the_status() {
    let minimal = serde_json::to_value(resource("minimal")).unwrap();
    let before = outcome(&serde_json::from_value(minimal.clone()).unwrap());
    let mut faults = Vec::new();
    for (leaf, extra, text) in cases() {
        let mut object = minimal.clone();
        merge(&mut object["spec"], extra);
        let lotoai: LotoAI = serde_json::from_value(object).unwrap();
        if let Err(errors) = lotoai.validate_cel() {
            faults.push(format!("{leaf}: the case is refused: {errors}"));
            continue;
        }
        if before.contains(text) {
            faults.push(format!("{leaf}: {text} is there without it"));
        }
        if !outcome(&lotoai).contains(text) {
            faults.push(format!("{leaf}: {text} appears nowhere"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_leaf_of_the_schema_has_a_case() {
    let cases: BTreeSet<String> = cases().iter().map(|case| case.0.to_owned()).collect();
    let leaves = leaves();
    let missing: Vec<_> = leaves.difference(&cases).collect();
    assert!(missing.is_empty(), "add a case for {missing:#?}");
    let gone: Vec<_> = cases.difference(&leaves).collect();
    assert!(gone.is_empty(), "the spec has no {gone:#?}");
}
