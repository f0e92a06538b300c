//! Labels and annotations: three functions, so that no object invents its own.

use std::collections::BTreeMap;

use lotoai_api::versions;

use crate::graph::Node;
use crate::platform::Platform;

/// Label with the name of the component.
pub const NAME: &str = "app.kubernetes.io/name";
/// Label with the name of the platform.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label with the role in the platform.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Label that all platforms share.
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// Label with the version of the image.
pub const VERSION: &str = "app.kubernetes.io/version";
/// Label with who manages the object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`PART_OF`].
pub const PART_OF_VALUE: &str = "lotoai";
/// Value of [`MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "lotoai-operator";
/// Label that only Secrets with generated credentials carry: those are never pruned.
pub const CREDENTIAL: &str = "lotoai.dev/credential";
/// Label of objects by which another operator runs a store: they stand for data, so they are never
/// pruned, and have no owner with deletion policy `Retain`.
pub const DATA: &str = "lotoai.dev/data";
/// Annotation on every object that is applied: a digest of all the rest of it, by which an operator
/// that has just started knows what need not be sent again.
pub const APPLIED: &str = "lotoai.dev/applied";
/// Annotation on workload objects: the image that was planned when they were applied. That of the pods
/// need not be: policies rewrite it, to a mirror or to the digest that they have verified.
pub const IMAGE: &str = "lotoai.dev/image";
/// Annotation on pod templates: pods restart when it changes.
pub const CONFIG_HASH: &str = "lotoai.dev/config-hash";
/// Annotation on pod templates of servers that know each other by their administrator: a digest of its
/// account. Two that bear different ones never run together.
pub const ADMINISTRATOR_HASH: &str = "lotoai.dev/administrator-hash";

/// Annotations on what has no owner, because it outlives the resource. [`INSTANCE`] is also the label by
/// which Argo CD may tell its own objects, and it would delete those of an Application of the same name.
pub const KEPT_BY_ARGO_CD: [(&str, &str); 2] = [
    (
        "argocd.argoproj.io/sync-options",
        "Prune=false,Delete=false",
    ),
    ("argocd.argoproj.io/compare-options", "IgnoreExtraneous"),
];

/// Labels of everything that belongs to the platform as a whole; also how the controller finds
/// what it owns.
#[must_use]
pub fn platform(platform: &Platform) -> BTreeMap<String, String> {
    owned_by(platform.name.as_str())
}

/// Labels that every object of the platform of this name carries.
#[must_use]
pub fn owned_by(platform: &str) -> BTreeMap<String, String> {
    map([
        (INSTANCE, platform),
        (PART_OF, PART_OF_VALUE),
        (MANAGED_BY, MANAGED_BY_VALUE),
    ])
}

/// The same as a selector for list and watch calls.
#[must_use]
pub fn owned_by_selector(platform: &str) -> String {
    format!("{INSTANCE}={platform},{PART_OF}={PART_OF_VALUE},{MANAGED_BY}={MANAGED_BY_VALUE}")
}

/// Labels of an object of a node, with the version.
#[must_use]
pub fn recommended(platform: &Platform, node: Node) -> BTreeMap<String, String> {
    let mut labels = unversioned(platform, node);
    let tag = versions::tag(platform.image(node));
    let value: String = tag.chars().filter(|c| *c != ':').take(63).collect();
    labels.insert(VERSION.to_owned(), value);
    labels
}

/// Labels of a node without the version: for what cannot change, such as volume claim templates.
#[must_use]
pub fn unversioned(platform: &Platform, node: Node) -> BTreeMap<String, String> {
    let mut labels = self::platform(platform);
    labels.extend(map([(NAME, &node.name()), (COMPONENT, node.role())]));
    labels
}

/// Labels that select the pods of a node. They can never change.
#[must_use]
pub fn selector(platform: &Platform, node: Node) -> BTreeMap<String, String> {
    map([
        (NAME, &node.name()),
        (INSTANCE, platform.name.as_str()),
        (COMPONENT, node.role()),
    ])
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
