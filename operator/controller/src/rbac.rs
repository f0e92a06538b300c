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
        let (group, plural) = (&kind.resource.group, &kind.resource.plural);
        allow(group, plural, &READ);
        // Server-side apply creates through `patch`, which the API server checks as `create` too.
        allow(group, plural, &["create", "patch"]);
        // What asks another operator for a store stands for its data: it is never pruned, and goes with
        // its owner. Of Secrets only those with rendered configuration are deleted; the right knows no
        // names.
        if !kind.delegated {
            allow(group, plural, &["delete"]);
        }
    }
    allow("lotoai.dev", "lotoais", &READ);
    allow("lotoai.dev", "lotoais/status", &["patch"]);
    // Clusters that enforce owner references ask for it before they accept ours.
    allow("lotoai.dev", "lotoais/finalizers", &["update"]);
    // Why a component is not ready.
    allow("", "pods", &["list", "watch"]);
    allow("", "persistentvolumeclaims", &["list"]);
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
    use lotoai_plan::OwnedKind;

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

    /// What may be done with a kind.
    fn verbs(group: &str, plural: &str) -> Vec<String> {
        let named = |names: &Option<Vec<String>>, name: &str| {
            let mut names = names.iter().flatten();
            names.any(|found| found == name)
        };
        let rules = rules().into_iter();
        let rules =
            rules.filter(|rule| named(&rule.api_groups, group) && named(&rule.resources, plural));
        rules.flat_map(|rule| rule.verbs).collect()
    }

    #[test]
    fn every_owned_kind_can_be_written_and_pruned_unless_it_stands_for_data() {
        let mut kept = Vec::new();
        for OwnedKind {
            resource,
            delegated,
            ..
        } in owned_kinds()
        {
            let kind = resource.kind;
            let verbs = verbs(&resource.group, &resource.plural);
            for verb in ["get", "list", "watch", "create", "patch"] {
                assert!(verbs.iter().any(|allowed| allowed == verb), "{kind} {verb}");
            }
            let deletes = verbs.iter().any(|allowed| allowed == "delete");
            assert_eq!(deletes, !delegated, "{kind}");
            if delegated {
                kept.push(kind);
            }
        }
        assert_eq!(kept, ["Cluster"]);
    }

    #[test]
    fn what_only_explains_is_read_as_far_as_passes_and_watches_do() {
        assert_eq!(verbs("", "pods"), ["list", "watch"]);
        assert_eq!(verbs("", "persistentvolumeclaims"), ["list"]);
        assert_eq!(verbs("", "events"), ["list"]);
    }
}
