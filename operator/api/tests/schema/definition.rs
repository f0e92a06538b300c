//! The definition as a whole: descriptions, bounds, defaults, columns.

use kube_core::CustomResourceExt as _;
use lotoai_api::LotoAI;
use serde_json::Value;

/// Walks through a schema with the path of each part.
fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        walk(inner, &format!("{path}.{name}"), visit);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(
            &schema["additionalProperties"],
            &format!("{path}{{}}"),
            visit,
        );
    }
}

fn schema() -> Value {
    let crd = serde_json::to_value(LotoAI::crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn every_field_of_the_spec_is_described_and_bounded() {
    let mut faults = Vec::new();
    walk(
        &schema()["properties"]["spec"],
        "spec",
        &mut |path, part| {
            let bounded = match part["type"].as_str() {
                Some("string") => part["maxLength"].is_number() || part["enum"].is_array(),
                Some("array") => part["maxItems"].is_number(),
                Some("object") if part["additionalProperties"].is_object() => {
                    part["maxProperties"].is_number()
                }
                _ => true,
            };
            if !bounded {
                faults.push(format!("{path} has no bound"));
            }
            let named = !path.ends_with(['}', ']']);
            if named && part["description"].as_str().unwrap_or_default().is_empty() {
                faults.push(format!("{path} has no description"));
            }
        },
    );
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn lists_with_names_refuse_duplicates() {
    let mut keyed = Vec::new();
    walk(&schema(), "", &mut |path, part| {
        if part["x-kubernetes-list-type"] == "map" {
            keyed.push(path.to_owned());
        }
    });
    for path in [
        ".spec.agents.providers",
        ".spec.agents.roles",
        ".spec.mcp.tools",
        ".spec.images.pullSecrets",
        ".status.conditions",
        ".status.components",
        ".status.credentials",
    ] {
        assert!(
            keyed.iter().any(|found| found == path),
            "{path} of {keyed:?}"
        );
    }
}

#[test]
fn defaults_are_in_the_schema() {
    let spec = &schema()["properties"]["spec"]["properties"];
    assert_eq!(spec["profile"]["default"], "Demo");
    assert_eq!(spec["deletionPolicy"]["default"], "Retain");
    assert_eq!(spec["paused"]["default"], false);
    let storage = &spec["rag"]["properties"]["storage"]["properties"];
    assert_eq!(storage["size"]["default"], "5Gi");
    let user = &spec["identity"]["properties"]["firstUser"]["properties"];
    assert_eq!(user["username"]["default"], "admin");
    let status = &schema()["properties"]["status"];
    assert_eq!(status["default"]["conditions"][0]["status"], "Unknown");
}

#[test]
fn the_definition_has_its_names_and_columns() {
    let crd = serde_json::to_value(LotoAI::crd()).unwrap();
    assert_eq!(crd["metadata"]["name"], "lotoais.lotoai.dev");
    assert_eq!(crd["spec"]["names"]["shortNames"][0], "loto");
    assert_eq!(crd["spec"]["names"]["categories"][0], "lotoai");
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    let version = &crd["spec"]["versions"][0];
    assert!(version["subresources"]["status"].is_object());
    let columns: Vec<_> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        columns,
        [
            "Ready",
            "Components",
            "Profile",
            "Version",
            "URL",
            "Message",
            "Age"
        ]
    );
}
