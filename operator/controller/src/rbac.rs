//! The rights that the operator needs, from the one list of owned kinds.
//!
//! No client needed; infallible. The Helm chart carries what this prints.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::PolicyRule;

use lotoai_plan::owned_kinds;

const READ: [&str; 3] = ["get", "list", "watch"];

/// The rules, sorted, without wildcards. The same for a ClusterRole and for a Role.
#[must_use]
pub fn rules() -> Vec<PolicyRule> {
    let mut verbs: BTreeMap<(String, String), Vec<&'static str>> = BTreeMap::new();
    let mut allow = |group: &str, resource: &str, allowed: &[&'static str]| {
        let entry = verbs
            .entry((group.to_owned(), resource.to_owned()))
            .or_default();
        entry.extend(
            allowed
                .iter()
                .filter(|verb| !entry.contains(verb))
                .copied()
                .collect::<Vec<_>>(),
        );
    };
    for kind in owned_kinds() {
        let kind = kind.resource;
        allow(&kind.group, &kind.plural, &READ);
        // Server-side apply creates through `patch`, which the API server checks as `create` too.
        // Of Secrets only those with rendered configuration are deleted; the right knows no names.
        allow(&kind.group, &kind.plural, &["create", "patch", "delete"]);
    }
    allow("lotoai.dev", "lotoais", &READ);
    allow("lotoai.dev", "lotoais/status", &["patch"]);
    // Clusters that enforce owner references ask for it before they accept ours.
    allow("lotoai.dev", "lotoais/finalizers", &["update"]);
    // Why a component is not ready.
    allow("", "pods", &READ);
    allow("", "persistentvolumeclaims", &READ);
    allow("", "events", &["list"]);
    allow("events.k8s.io", "events", &["create", "patch"]);

    let mut grouped: BTreeMap<(String, Vec<&'static str>), Vec<String>> = BTreeMap::new();
    for ((group, resource), verbs) in verbs {
        grouped.entry((group, verbs)).or_default().push(resource);
    }
    grouped
        .into_iter()
        .map(|((group, verbs), resources)| PolicyRule {
            api_groups: Some(vec![group]),
            resources: Some(resources),
            verbs: verbs.into_iter().map(str::to_owned).collect(),
            ..PolicyRule::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_wildcard_and_no_right_reaches_beyond_the_namespace() {
        for rule in rules() {
            let all = [rule.api_groups, rule.resources, Some(rule.verbs.clone())];
            assert!(
                all.iter()
                    .flatten()
                    .flatten()
                    .all(|text| !text.contains('*'))
            );
            for dangerous in ["escalate", "bind", "impersonate", "deletecollection"] {
                assert!(!rule.verbs.iter().any(|verb| verb == dangerous));
            }
        }
    }

    #[test]
    fn every_owned_kind_can_be_written_and_pruned() {
        let rules = rules();
        for kind in owned_kinds() {
            let kind = kind.resource;
            let rule = rules
                .iter()
                .find(|rule| {
                    rule.api_groups
                        .iter()
                        .flatten()
                        .any(|group| *group == kind.group)
                        && rule
                            .resources
                            .iter()
                            .flatten()
                            .any(|plural| *plural == kind.plural)
                })
                .unwrap_or_else(|| panic!("no rule for {}", kind.kind));
            for verb in ["get", "list", "watch", "create", "patch", "delete"] {
                assert!(
                    rule.verbs.iter().any(|allowed| allowed == verb),
                    "{} {verb}",
                    kind.kind
                );
            }
        }
    }
}
