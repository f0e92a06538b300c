//! Servers of which two versions never run together: all stop before the first new one starts.
//!
//! Keycloak's servers share caches, and two versions of them may not understand what they send each
//! other: new servers then do not start, and the old ones do not come to rest (ADR 0022). Only another
//! version is taken this way. What the pods say is how far it is, so that nothing is remembered.

use lotoai_api::Component;

use crate::graph::Node;
use crate::labels;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};
use crate::rollout::pods;

/// Lets the servers that must stop have no pods: they get them back in the pass after the last one
/// has gone.
pub(crate) fn stop_first(
    platform: &Platform,
    observed: &Observed,
    set: &mut ResourceSet<Prepared>,
) {
    if !must_stop(platform, observed, Component::Keycloak) {
        return;
    }
    let name = platform.component_name(Component::Keycloak);
    let mut sets = set.stateful_sets.iter_mut();
    let found = sets.find(|object| object.metadata.name.as_ref() == Some(&name));
    if let Some(spec) = found.and_then(|object| object.spec.as_mut()) {
        spec.replicas = Some(0);
    }
}

/// Whether a component's servers must stop because one of them runs another version than planned. One
/// that drains still runs. The version is that of the label: the image itself may be another one than
/// was asked for, where a cluster leads all pulls to a mirror.
pub(crate) fn must_stop(platform: &Platform, observed: &Observed, component: Component) -> bool {
    if component != Component::Keycloak || platform.scale(component).most() < 2 {
        return false;
    }
    let node = Node::Component(component);
    let planned = labels::recommended(platform, node);
    pods(platform, observed, node)
        .filter_map(|pod| pod.metadata.labels.as_ref()?.get(labels::VERSION))
        .any(|version| Some(version) != planned.get(labels::VERSION))
}
