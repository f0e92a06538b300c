//! Suspension: a platform that runs nothing and keeps everything.
//!
//! Every workload object asks for no pods, delegated stores hibernate, and Jobs that have not ended
//! are taken away. A part stops when nothing that needs it runs any more, so nobody meets a store
//! that is gone: the order of starting, backwards. Volumes, Secrets, Services, autoscalers (which
//! rest while their workload asks for no pods) and budgets stay.

use crate::gate::job_complete;
use crate::graph::Node;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};
use crate::rollout::{Rollout, pods};

/// Takes Jobs that have not ended out of the plan, so that they are deleted: they would fail, and
/// count their failures, while their store is stopped. They are made anew afterwards.
pub(crate) fn drop_unfinished_jobs(set: &mut ResourceSet<Prepared>, observed: &Observed) {
    set.jobs.retain(|job| {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        observed.jobs.get(name).is_some_and(job_complete)
    });
}

/// Whether nothing of a node runs or will be started.
pub(crate) fn has_stopped(platform: &Platform, observed: &Observed, node: Node) -> bool {
    let asks = match node {
        Node::Component(component) => match platform.topology.delegated(component) {
            Some(delegated) => return delegated.sleeps(observed),
            None => {
                Rollout::of(platform, observed, component).is_some_and(|rollout| !rollout.sleeps())
            }
        },
        Node::Anyone | Node::Operator | Node::Scraper | Node::Provision(_) => false,
    };
    !asks && pods(platform, observed, node).next().is_none()
}

/// Why a node of a suspended platform may not be stopped yet; nothing on one that is not suspended.
pub(crate) fn obstacle(
    platform: &Platform,
    observed: &Observed,
    node: Node,
    is_there: bool,
) -> Option<String> {
    if !platform.spec.suspend {
        return None;
    }
    if !is_there {
        return Some("is not started while the platform is suspended".to_owned());
    }
    let topology = &platform.topology;
    let using: Vec<String> = topology
        .nodes()
        .filter(|other| topology.needs(*other).contains(&node))
        .filter(|other| !has_stopped(platform, observed, *other))
        .map(Node::name)
        .collect();
    (!using.is_empty()).then(|| format!("stops after {}", using.join(", ")))
}
