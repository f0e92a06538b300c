//! What waits when the cluster refuses an object: whatever would run without something that it
//! needs. Everything else goes on.

use std::collections::BTreeSet;

use crate::graph::Node;
use crate::labels;
use crate::platform::Platform;
use crate::resources::PlannedObject;

/// Kinds whose objects start or stop pods, here or through another operator. The others do nothing by
/// themselves.
const RUN: [&str; 5] = [
    "Cluster",
    "StatefulSet",
    "Deployment",
    // It complains of a Deployment that is not there.
    "HorizontalPodAutoscaler",
    "Job",
];
/// Kinds without which every pod is still what it should be.
const UNNEEDED: [&str; 6] = [
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "Certificate",
    "Ingress",
    "BackendTLSPolicy",
    "HTTPRoute",
];

/// Whether `object` waits while `refused` is refused: because it runs pods of the same node, or of
/// one that needs it in the wiring, or because the refused object stands for the platform as a
/// whole, as the policy that denies all traffic does.
#[must_use]
pub fn depends(platform: &Platform, object: &PlannedObject, refused: &PlannedObject) -> bool {
    if !is_of(object, &RUN) || is_of(refused, &UNNEEDED) {
        return false;
    }
    match (node(object), node(refused)) {
        (_, None) => true,
        (Some(node), Some(refused)) => node == refused || needs(platform, node, refused),
        (None, Some(_)) => false,
    }
}

/// The objects in the order in which they are written, so that what waits for an object comes after
/// it: first whatever runs nothing, in the order of its kinds, then what starts or stops pods, in the
/// order in which a platform starts.
#[must_use]
pub fn in_order(platform: &Platform, mut objects: Vec<PlannedObject>) -> Vec<PlannedObject> {
    let order = platform.topology.start_order();
    let place = |object: &PlannedObject| {
        let started = node(object).and_then(|node| order.iter().position(|other| *other == node));
        // What another operator runs needs nothing of the platform.
        is_of(object, &RUN).then_some(started)
    };
    // Keeps the order of those that are alike.
    objects.sort_by_cached_key(place);
    objects
}

fn is_of(object: &PlannedObject, kinds: &[&str]) -> bool {
    kinds.contains(&object.resource.kind.as_str())
}

/// The node that an object belongs to; none where it belongs to the platform as a whole.
fn node(object: &PlannedObject) -> Option<Node> {
    let name = object.body["metadata"]["labels"][labels::NAME].as_str()?;
    Node::pods().find(|node| node.name() == name)
}

/// Whether a node needs another one, directly or through others.
fn needs(platform: &Platform, node: Node, other: Node) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![node];
    while let Some(node) = next.pop() {
        for need in platform.topology.needs(node) {
            if need == other {
                return true;
            }
            if seen.insert(need) {
                next.push(need);
            }
        }
    }
    false
}
