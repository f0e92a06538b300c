//! What runs of a component: read from its workload object, never remembered.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_api::Component;

use crate::components::{WorkloadKind, workload_kind};
use crate::graph::Node;
use crate::labels;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};
use crate::scale::Scale;

/// A workload object that is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rollout<'a> {
    /// Pods that there should be.
    pub(crate) wanted: i32,
    /// Pods that the object asks for now.
    pub(crate) asked: i32,
    /// Pods that serve.
    pub(crate) ready: i32,
    /// Image that was planned when the object was applied.
    pub(crate) image: &'a str,
    /// Image in the object's template: the same, unless a policy of the cluster rewrites images.
    written: &'a str,
    updated: i32,
    /// Pods of any template.
    all: i32,
    current_generation: bool,
}

impl<'a> Rollout<'a> {
    /// The component's object; nothing when there is none.
    pub(crate) fn of(
        platform: &Platform,
        observed: &'a Observed,
        component: Component,
    ) -> Option<Self> {
        let name = platform.component_name(component);
        let scale = platform.scale(component);
        let mut rollout = match workload_kind(platform, component) {
            WorkloadKind::Deployment => {
                Self::of_deployment(scale, component, observed.deployments.get(&name)?)
            }
            WorkloadKind::StatefulSet => {
                Self::of_stateful_set(scale, component, observed.stateful_sets.get(&name)?)
            }
        };
        if platform.spec.suspend {
            rollout.wanted = 0;
        }
        Some(rollout)
    }

    /// What an autoscaler wants stands in the object itself, where it wrote it; a new object has
    /// one pod until it does.
    fn of_deployment(scale: Scale, component: Component, deployment: &'a Deployment) -> Self {
        let status = deployment.status.as_ref();
        let spec = deployment.spec.as_ref();
        let asked = spec.and_then(|spec| spec.replicas);
        let written = image(component, spec.and_then(|spec| spec.template.spec.as_ref()));
        Self {
            wanted: match scale {
                Scale::Fixed(replicas) => replicas,
                Scale::Following(_) => asked.map_or(scale.least(), |n| n.max(scale.least())),
            },
            asked: asked.unwrap_or(1),
            ready: status.and_then(|s| s.ready_replicas).unwrap_or(0),
            image: planned_image(&deployment.metadata).unwrap_or(written),
            written,
            updated: status.and_then(|s| s.updated_replicas).unwrap_or(0),
            all: status.and_then(|s| s.replicas).unwrap_or(0),
            current_generation: status.and_then(|s| s.observed_generation)
                >= deployment.metadata.generation,
        }
    }

    fn of_stateful_set(scale: Scale, component: Component, set: &'a StatefulSet) -> Self {
        let status = set.status.as_ref();
        let spec = set.spec.as_ref();
        let written = image(component, spec.and_then(|spec| spec.template.spec.as_ref()));
        Self {
            wanted: scale.least(),
            asked: spec.and_then(|spec| spec.replicas).unwrap_or(1),
            ready: status.and_then(|s| s.ready_replicas).unwrap_or(0),
            image: planned_image(&set.metadata).unwrap_or(written),
            written,
            updated: status.and_then(|s| s.updated_replicas).unwrap_or(0),
            all: status.map_or(0, |s| s.replicas),
            current_generation: status.and_then(|s| s.observed_generation)
                >= set.metadata.generation,
        }
    }

    /// Whether all pods are ready and run the object's template. A pod of an earlier one that still
    /// serves would be counted among the ready ones otherwise.
    pub(crate) const fn settled(&self) -> bool {
        self.current_generation
            && self.ready >= self.wanted
            && self.updated >= self.wanted
            && self.all <= self.updated
    }

    /// Whether at least one pod serves.
    pub(crate) const fn serves(&self) -> bool {
        self.ready > 0
    }

    /// Whether the object was scaled to nothing.
    pub(crate) const fn sleeps(&self) -> bool {
        self.asked == 0
    }
}

/// The image that an object says it was planned with. Objects of earlier versions say nothing, and a
/// policy that rewrites images made those of them look as if they were another version's.
fn planned_image(metadata: &ObjectMeta) -> Option<&str> {
    annotation(metadata, labels::IMAGE)
}

/// Image of the container that bears the component's name; others may add theirs.
fn image(component: Component, pod: Option<&PodSpec>) -> &str {
    let mut containers = pod.into_iter().flat_map(|pod| &pod.containers);
    containers
        .find(|container| container.name == component.name())
        .and_then(|container| container.image.as_deref())
        .unwrap_or_default()
}

/// Pods of a node that have not ended. One that is being deleted counts: it still uses what it
/// needs.
pub(crate) fn pods<'a>(
    platform: &Platform,
    observed: &'a Observed,
    node: Node,
) -> impl Iterator<Item = &'a Pod> {
    let selector = labels::selector(platform, node);
    observed.pods.values().filter(move |pod| {
        let labels = pod.metadata.labels.as_ref();
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        !matches!(phase, Some("Succeeded" | "Failed"))
            && selector.iter().all(|(key, value)| {
                labels
                    .and_then(|labels| labels.get(key))
                    .is_some_and(|found| found == value)
            })
    })
}

/// The image that a component still runs although the plan has another: that of a pod, else that
/// of its object. A pod with what a policy made of an image counts as one with that image.
pub(crate) fn other_image(
    platform: &Platform,
    observed: &Observed,
    component: Component,
) -> Option<String> {
    let node = Node::Component(component);
    let planned = platform.image(node);
    let rollout = Rollout::of(platform, observed, component)?;
    if rollout.settled() && !is_behind(platform, &rollout, component) {
        return None;
    }
    let of_pods = pods(platform, observed, node).map(|pod| image(component, pod.spec.as_ref()));
    let of_pods = of_pods.map(|image| match image == rollout.written {
        true => rollout.image,
        false => image,
    });
    of_pods
        .chain([rollout.image])
        .find(|image| !image.is_empty() && *image != planned)
        .map(str::to_owned)
}

/// Whether every pod of a component runs what is planned now, down to its credentials.
pub(crate) fn runs_planned(
    platform: &Platform,
    prepared: &ResourceSet<Prepared>,
    observed: &Observed,
    component: Component,
) -> bool {
    let name = platform.component_name(component);
    let is_named = |metadata: &ObjectMeta| metadata.name.as_ref() == Some(&name);
    let (planned, found) = match workload_kind(platform, component) {
        WorkloadKind::Deployment => {
            let mut all = prepared.deployments.iter();
            let planned = all.find(|object| is_named(&object.metadata));
            let found = observed.deployments.get(&name);
            (
                planned.and_then(of_deployment),
                found.and_then(of_deployment),
            )
        }
        WorkloadKind::StatefulSet => {
            let mut all = prepared.stateful_sets.iter();
            let planned = all.find(|object| is_named(&object.metadata));
            let found = observed.stateful_sets.get(&name);
            (
                planned.and_then(of_stateful_set),
                found.and_then(of_stateful_set),
            )
        }
    };
    let (Some(planned), Some(found)) = (planned, found) else {
        return false;
    };
    let wanted = config_hash(planned.metadata.as_ref());
    config_hash(found.metadata.as_ref()) == wanted
        && Rollout::of(platform, observed, component)
            .is_some_and(|rollout| rollout.settled() && !is_behind(platform, &rollout, component))
        && pods(platform, observed, Node::Component(component))
            .all(|pod| config_hash(Some(&pod.metadata)) == wanted)
}

fn of_deployment(deployment: &Deployment) -> Option<&PodTemplateSpec> {
    deployment.spec.as_ref().map(|spec| &spec.template)
}

fn of_stateful_set(set: &StatefulSet) -> Option<&PodTemplateSpec> {
    set.spec.as_ref().map(|spec| &spec.template)
}

fn config_hash(metadata: Option<&ObjectMeta>) -> Option<&str> {
    annotation(metadata?, labels::CONFIG_HASH)
}

fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    let annotations = metadata.annotations.as_ref()?;
    annotations.get(name).map(String::as_str)
}

/// Whether a component's object was applied with another image than is planned now.
pub(crate) fn is_behind(platform: &Platform, rollout: &Rollout<'_>, component: Component) -> bool {
    !rollout.image.is_empty() && rollout.image != platform.image(Node::Component(component))
}
