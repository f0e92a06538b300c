//! Servers of which two that differ in one thing never run together: all stop before the first new one
//! starts.
//!
//! Keycloak's servers share caches, and two versions of them may not understand what they send each
//! other: new servers then do not start, and the old ones do not come to rest (ADR 0022). MinIO's sign
//! what they ask each other with the password of their administrator: a server with another one is let
//! in by none, and the next old one would not stop before it is ready. Only another version, or another
//! administrator, is taken this way. What the pods say is how far it is, so that nothing is remembered.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_api::Component;

use crate::graph::Node;
use crate::labels;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};
use crate::rollout::pods;

const TOGETHER: [Component; 2] = [Component::Keycloak, Component::Minio];

/// Lets the servers that must stop have no pods: they get them back in the pass after the last one
/// has gone.
pub(crate) fn stop_first(
    platform: &Platform,
    observed: &Observed,
    set: &mut ResourceSet<Prepared>,
) {
    for component in TOGETHER {
        let name = platform.component_name(component);
        let mut sets = set.stateful_sets.iter_mut();
        let found = sets.find(|object| object.metadata.name.as_ref() == Some(&name));
        if let Some(object) = found
            && must_stop(platform, observed, component, object)
            && let Some(spec) = &mut object.spec
        {
            spec.replicas = Some(0);
        }
    }
}

/// Whether a component's object is there and its servers of before have to go first.
pub(crate) fn is_stopping(platform: &Platform, observed: &Observed, component: Component) -> bool {
    let name = platform.component_name(component);
    let found = observed.stateful_sets.get(&name);
    found.is_some_and(|object| must_stop(platform, observed, component, object))
}

/// Whether a component's servers must stop because one of them differs from those of `object`. One
/// that drains still runs, and one that does not say differs in nothing.
fn must_stop(
    platform: &Platform,
    observed: &Observed,
    component: Component,
    object: &StatefulSet,
) -> bool {
    if !TOGETHER.contains(&component) || platform.scale(component).most() < 2 {
        return false;
    }
    let template = object.spec.as_ref().map(|spec| &spec.template);
    let planned = template.and_then(|template| in_common(component, template.metadata.as_ref()?));
    pods(platform, observed, Node::Component(component))
        .filter_map(|pod| in_common(component, &pod.metadata))
        .any(|found| Some(found) != planned)
}

/// What all servers that run must have in common. The version is that of the label: the image itself
/// may be another one than was asked for, where a cluster leads all pulls to a mirror.
fn in_common(component: Component, metadata: &ObjectMeta) -> Option<&str> {
    let value = if component == Component::Keycloak {
        metadata.labels.as_ref()?.get(labels::VERSION)
    } else {
        let annotations = metadata.annotations.as_ref()?;
        annotations.get(labels::ADMINISTRATOR_HASH)
    };
    value.map(String::as_str)
}
