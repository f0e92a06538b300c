//! Rights: the generated rules, no more, and no further than they must reach.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::helm::{FILES, Helm, NAMESPACE, OPERATOR, Prometheus, file, of};

/// What no rule of the operator may allow.
const VERBS: [&str; 4] = ["escalate", "bind", "impersonate", "deletecollection"];
/// Resources that would give more than they say.
const RESOURCES: [&str; 8] = [
    "clusterroles",
    "clusterrolebindings",
    "roles",
    "rolebindings",
    "nodes",
    "pods/exec",
    "serviceaccounts/token",
    "customresourcedefinitions",
];

fn texts(value: &Value) -> Vec<&str> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

/// What is wrong with a rule.
fn faults(rule: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for field in ["apiGroups", "resources", "verbs"] {
        for text in texts(&rule[field]) {
            if text.contains('*') {
                faults.push(format!("a wildcard in {field}"));
            }
        }
    }
    for verb in texts(&rule["verbs"]) {
        if VERBS.contains(&verb) {
            faults.push(format!("verb {verb}"));
        }
    }
    for resource in texts(&rule["resources"]) {
        if RESOURCES.contains(&resource) {
            faults.push(format!("resource {resource}"));
        }
    }
    if !rule["nonResourceURLs"].is_null() {
        faults.push("paths of the API server".to_owned());
    }
    faults
}

fn rules(role: &Value) -> impl Iterator<Item = &Value> {
    role["rules"].as_array().into_iter().flatten()
}

fn roles(objects: &[Value]) -> Vec<&Value> {
    [of(objects, "Role"), of(objects, "ClusterRole")].concat()
}

#[test]
fn no_rule_allows_what_none_may() {
    let Some(helm) = Helm::find() else { return };
    for name in FILES {
        let objects = helm.objects(name);
        let roles = roles(&objects);
        assert!(roles.len() >= 2, "{name}");
        for rule in roles.into_iter().flat_map(rules) {
            assert_eq!(faults(rule), Vec::<String>::new(), "{name}: {rule}");
        }
    }
}

#[test]
fn a_bad_rule_is_seen() {
    let bad = [
        (
            json!({ "apiGroups": [""], "resources": ["*"], "verbs": ["get"] }),
            "a wildcard in resources",
        ),
        (
            json!({ "apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"] }),
            "a wildcard in apiGroups",
        ),
        (
            json!({ "apiGroups": [""], "resources": ["pods/*"], "verbs": ["get"] }),
            "a wildcard in resources",
        ),
        (
            json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["*"] }),
            "a wildcard in verbs",
        ),
        (
            json!({ "apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"] }),
            "verb impersonate",
        ),
        (
            json!({ "apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"] }),
            "resource pods/exec",
        ),
        (
            json!({ "nonResourceURLs": ["/metrics"], "verbs": ["get"] }),
            "paths of the API server",
        ),
    ];
    for (rule, expected) in bad {
        assert_eq!(faults(&rule), [expected], "{rule}");
    }
}

#[test]
fn without_namespaces_there_is_one_cluster_role_with_the_generated_rules() {
    let Some(helm) = Helm::find() else { return };
    let generated: Value =
        serde_yaml_ng::from_str(&file("charts/lotoai-operator/files/rules.yaml")).unwrap();
    for name in ["default", "replicated", "monitored"] {
        let objects = helm.objects(name);
        assert_eq!(
            crate::helm::the(&objects, "ClusterRole")["rules"],
            generated
        );
        let binding = crate::helm::the(&objects, "ClusterRoleBinding");
        assert_eq!(binding["roleRef"]["kind"], "ClusterRole");
        assert_account(&objects, binding);
        // Only the lease.
        let role = crate::helm::the(&objects, "Role");
        assert!(rules(role).all(|rule| texts(&rule["resources"]) == ["leases"]));
    }
}

#[test]
fn with_namespaces_no_right_reaches_beyond_them() {
    let Some(helm) = Helm::find() else { return };
    let generated: Value =
        serde_yaml_ng::from_str(&file("charts/lotoai-operator/files/rules.yaml")).unwrap();
    for (name, namespaces) in [
        ("namespaced", vec!["team-a", "team-b"]),
        ("full", vec!["ai"]),
    ] {
        let objects = helm.objects(name);
        for kind in ["ClusterRole", "ClusterRoleBinding"] {
            assert!(of(&objects, kind).is_empty(), "{name}: {kind}");
        }
        let mut readers = BTreeSet::new();
        for role in of(&objects, "Role") {
            let namespace = role["metadata"]["namespace"].as_str().unwrap();
            if rules(role).any(|rule| texts(&rule["resources"]).contains(&"secrets")) {
                readers.insert(namespace);
                assert_eq!(role["rules"], generated);
            } else {
                assert_eq!(namespace, NAMESPACE);
            }
        }
        assert_eq!(readers, namespaces.iter().copied().collect(), "{name}");
        let bindings = of(&objects, "RoleBinding");
        assert_eq!(bindings.len(), namespaces.len() + 1);
        for binding in bindings {
            assert_account(&objects, binding);
            let role = of(&objects, "Role").into_iter().find(|role| {
                role["metadata"]["name"] == binding["roleRef"]["name"]
                    && role["metadata"]["namespace"] == binding["metadata"]["namespace"]
            });
            assert!(role.is_some(), "{binding}");
        }
    }
}

/// The binding gives its rights to the operator's account and to nobody else.
fn assert_account(objects: &[Value], binding: &Value) {
    let account = crate::helm::the(objects, "ServiceAccount");
    let pod = &crate::helm::the(objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
    let expected = json!([{
        "kind": "ServiceAccount",
        "name": account["metadata"]["name"],
        "namespace": NAMESPACE,
    }]);
    assert_eq!(binding["subjects"], expected);
}

#[test]
fn a_lease_is_the_only_thing_that_is_updated_by_name() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.objects("default");
    let role = crate::helm::the(&objects, "Role");
    for rule in rules(role) {
        let is_open = rule["resourceNames"].is_null();
        assert_eq!(is_open, texts(&rule["verbs"]) == ["create"], "{rule}");
    }
}

/// Two releases in one namespace would wait for each other otherwise.
#[test]
fn each_release_has_a_lease_of_its_own_and_may_renew_no_other() {
    let Some(helm) = Helm::find() else { return };
    let of_release = |release: &str| {
        let rendered = helm.template_as(release, OPERATOR, "{}", Prometheus::Absent);
        let objects = rendered.unwrap_or_else(|refusal| panic!("{release}: {refusal}"));
        let pod = &crate::helm::the(&objects, "Deployment")["spec"]["template"]["spec"];
        let variables = pod["containers"][0]["env"].as_array().into_iter().flatten();
        let mut named = variables.filter(|variable| variable["name"] == "LEASE_NAME");
        let asked = named.next().map(|variable| variable["value"].clone());
        let role = crate::helm::the(&objects, "Role");
        let allowed = rules(role).find(|rule| !rule["resourceNames"].is_null());
        assert_eq!(allowed.expect("a rule")["resourceNames"], json!([asked]));
        asked.expect("a name of the lease")
    };
    assert_eq!(of_release("lotoai"), "lotoai-operator");
    assert_eq!(of_release("team"), "team-lotoai-operator");
}
