//! What must hold for every object of every fixture, by concern.

mod configuration;
mod external;
mod metadata;
mod network;
mod placement;
mod references;
mod security;
mod sizes;
mod stopping;
mod tls;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use lotoai_plan::{Node, Platform, Prepared, ResourceSet, labels};

/// Kind, name and template of everything that runs pods.
pub(crate) fn templates(set: &ResourceSet<Prepared>) -> Vec<(String, &PodTemplateSpec)> {
    let sets = set
        .stateful_sets
        .iter()
        .map(|o| (&o.metadata, &o.spec.as_ref().unwrap().template));
    let deployments = set
        .deployments
        .iter()
        .map(|o| (&o.metadata, &o.spec.as_ref().unwrap().template));
    let jobs = set
        .jobs
        .iter()
        .map(|o| (&o.metadata, &o.spec.as_ref().unwrap().template));
    sets.chain(deployments)
        .chain(jobs)
        .map(|(metadata, template)| (metadata.name.clone().unwrap(), template))
        .collect()
}

pub(crate) fn template<'a>(
    platform: &Platform,
    set: &'a ResourceSet<Prepared>,
    node: Node,
) -> &'a PodTemplateSpec {
    let wanted = platform.node_name(node);
    let found = templates(set).into_iter().find(|(_, template)| {
        let labels = template.metadata.as_ref().unwrap().labels.as_ref().unwrap();
        format!("{}-{}", labels[labels::INSTANCE], labels[labels::NAME]) == wanted
    });
    found.unwrap_or_else(|| panic!("no pods for {wanted}")).1
}

pub(crate) fn container(template: &PodTemplateSpec) -> &Container {
    let containers = &template.spec.as_ref().unwrap().containers;
    assert_eq!(containers.len(), 1);
    &containers[0]
}

pub(crate) fn variables(template: &PodTemplateSpec) -> BTreeMap<&str, Option<(&str, &str)>> {
    let env = container(template).env.iter().flatten();
    env.map(|variable| {
        let key = variable
            .value_from
            .as_ref()
            .and_then(|from| from.secret_key_ref.as_ref());
        (
            variable.name.as_str(),
            key.map(|key| (key.name.as_str(), key.key.as_str())),
        )
    })
    .collect()
}

pub(crate) fn policy<'a>(set: &'a ResourceSet<Prepared>, name: &str) -> &'a NetworkPolicy {
    set.network_policies
        .iter()
        .find(|p| p.metadata.name.as_deref() == Some(name))
        .unwrap()
}
