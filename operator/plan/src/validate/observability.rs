//! What the schema cannot say of those who ask for metrics.

use lotoai_api::spec::LotoAISpec;

use super::Invalid;
use super::qualified_name::check_keys;

const FIELD: &str = "spec.observability.metrics.external";

pub(super) fn check(spec: &LotoAISpec, faults: &mut Vec<Invalid>) {
    let Some(metrics) = &spec.observability.metrics else {
        return;
    };
    let from = &metrics.external;
    if from.from_namespaces.is_empty() {
        // The schema refuses it; to a policy it would mean all namespaces.
        let message = "it is empty; write a label of the namespaces that may ask for metrics, for \
                       example kubernetes.io/metadata.name: monitoring";
        faults.push(Invalid::spec(format!("{FIELD}.fromNamespaces"), message));
    }
    for (name, labels) in [
        ("fromNamespaces", &from.from_namespaces),
        ("fromPods", &from.from_pods),
    ] {
        check_keys(&format!("{FIELD}.{name}"), labels.keys(), faults);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case(json!({ "fromNamespaces": { "team": "sre" } }), &[])]
    #[case(json!({ "fromNamespaces": { "team": "sre" }, "fromPods": { "a/b": "" } }), &[])]
    #[case(json!({ "fromNamespaces": {} }), &["fromNamespaces: it is empty"])]
    #[case(json!({ "fromNamespaces": { "a b": "x" } }), &["fromNamespaces[a b]: this is no name"])]
    #[case(
        json!({ "fromNamespaces": { "team": "sre" }, "fromPods": { "/x": "y" } }),
        &["fromPods[/x]: this is no name"]
    )]
    fn names_the_field(#[case] external: Value, #[case] expected: &[&str]) {
        let spec = json!({
            "url": "https://ai.example.com",
            "observability": { "metrics": { "external": external } },
        });
        let mut faults = Vec::new();
        check(&serde_json::from_value(spec).unwrap(), &mut faults);
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.starts_with(&format!("{FIELD}.{expected}")), "{fault}");
        }
    }
}
