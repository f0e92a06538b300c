//! Where pods run, and what else they carry: the resource's word for all pods, then for those of
//! the component. What is the operator's own is never overwritten.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, PodAffinityTerm, PodAntiAffinity, PodTemplateSpec, TopologySpreadConstraint,
    WeightedPodAffinityTerm,
};
use lotoai_api::Component;
use lotoai_api::spec::{ComponentSettings, Spreading};

use super::workload::selector;
use crate::components::{WorkloadKind, workload_kind};
use crate::graph::Node;
use crate::platform::Platform;

/// Label of nodes with their host.
pub const HOST: &str = "kubernetes.io/hostname";
/// Label of nodes with their zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";

type Map = BTreeMap<String, String>;

/// Writes labels, annotations, node selector, tolerations, priority and spreading into a template.
pub fn place(platform: &Platform, node: Node, template: &mut PodTemplateSpec) {
    let all = &platform.spec.pods;
    let none = ComponentSettings::default();
    let own = platform.settings(node).unwrap_or(&none);

    let metadata = template.metadata.get_or_insert_default();
    let labels = merged(&all.labels, &own.pod_labels);
    metadata.labels = some(merged(&labels, &metadata.labels.take().unwrap_or_default()));
    let annotations = merged(&all.annotations, &own.pod_annotations);
    let ours = metadata.annotations.take().unwrap_or_default();
    metadata.annotations = some(merged(&annotations, &ours));

    let Some(pod) = &mut template.spec else {
        return;
    };
    pod.node_selector = some(merged(&all.node_selector, &own.node_selector));
    let tolerations: Vec<_> = all
        .tolerations
        .iter()
        .chain(&own.tolerations)
        .cloned()
        .collect();
    pod.tolerations = (!tolerations.is_empty()).then_some(tolerations);
    pod.priority_class_name.clone_from(&all.priority_class_name);
    if let Node::Component(component) = node
        && platform.scale(component).most() > 1
    {
        pod.affinity = Some(apart(platform, component));
        pod.topology_spread_constraints = Some(vec![over_zones(platform, node)]);
    }
}

/// The second map wins by key.
fn merged(first: &Map, second: &Map) -> Map {
    let mut all = first.clone();
    all.extend(second.clone());
    all
}

fn some(map: Map) -> Option<Map> {
    (!map.is_empty()).then_some(map)
}

/// Servers of a cluster must keep apart, or one node could take a majority of them, or all that keep
/// people's sessions, with it. Pods of which each can do without the others only prefer it: a cluster
/// of one node still runs them, and a roll-out needs no spare node.
fn apart(platform: &Platform, component: Component) -> Affinity {
    let term = PodAffinityTerm {
        label_selector: Some(selector(platform, Node::Component(component))),
        topology_key: HOST.to_owned(),
        ..PodAffinityTerm::default()
    };
    let is_cluster = workload_kind(platform, component) == WorkloadKind::StatefulSet;
    let rule = match platform.spec.pods.spreading {
        Spreading::Required if is_cluster => PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![term]),
            ..PodAntiAffinity::default()
        },
        Spreading::Required | Spreading::Preferred => PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                WeightedPodAffinityTerm {
                    weight: 100,
                    pod_affinity_term: term,
                },
            ]),
            ..PodAntiAffinity::default()
        },
    };
    Affinity {
        pod_anti_affinity: Some(rule),
        ..Affinity::default()
    }
}

fn over_zones(platform: &Platform, node: Node) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        label_selector: Some(selector(platform, node)),
        max_skew: 1,
        topology_key: ZONE.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        ..TopologySpreadConstraint::default()
    }
}
