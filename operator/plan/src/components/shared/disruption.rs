//! PodDisruptionBudgets: whoever empties a node takes one pod of a component at a time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lotoai_api::Component;

use super::workload::selector;
use crate::graph::Node;
use crate::platform::Platform;

/// Budget `<platform>-<component>`; none for a single pod, which it would nail to its node.
#[must_use]
pub fn build(platform: &Platform, component: Component) -> Option<PodDisruptionBudget> {
    if platform.scale(component).least() < 2 {
        return None;
    }
    let node = Node::Component(component);
    Some(PodDisruptionBudget {
        metadata: platform.metadata(platform.component_name(component), node),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(platform, node)),
            // Or a pod that never becomes ready would keep its node from being emptied.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
