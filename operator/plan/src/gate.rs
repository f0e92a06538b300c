//! Gates: what of a platform may be applied now. All of it is decided from what was observed, so an
//! operator that was killed goes on where it was.
//!
//! - A workload object starts, for the first time or after a suspension, when all that it needs is
//!   ready.
//! - One that would get another image keeps its own, and its configuration, until all that it needs
//!   runs the planned images on every pod: an upgrade goes from the stores to the edge.
//! - On a platform that is suspended it stops when all that need it have stopped.
//!
//! Everything else a running platform takes at once. The one exception is a proxy whose next
//! certificate is not issued yet.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use lotoai_api::Component;

use crate::components::shared::config::rendered_name;
use crate::components::workload_kind;
use crate::edge;
use crate::graph::Node;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{ObjectId, Prepared, ResourceSet};
use crate::rollout::{Rollout, is_behind};
use crate::scale::Scale;
use crate::suspend;

/// Whether a node's workload object may be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Apply it.
    Open,
    /// Hold it back.
    Closed {
        /// What it waits for, for people.
        message: String,
    },
}

/// All gates, by workload object.
#[derive(Debug, Clone, Default)]
pub struct Gates {
    by_node: BTreeMap<Node, Gate>,
    by_object: BTreeMap<ObjectId, Node>,
}

impl Gates {
    /// Gate of a node.
    #[must_use]
    pub fn gate(&self, node: Node) -> &Gate {
        self.by_node.get(&node).unwrap_or(&Gate::Open)
    }

    /// Why an object is held back; nothing when it may be applied.
    #[must_use]
    pub fn held(&self, object: &ObjectId) -> Option<&str> {
        match self.gate(*self.by_object.get(object)?) {
            Gate::Open => None,
            Gate::Closed { message } => Some(message),
        }
    }

    /// Ties an object to the gate of a node.
    fn hold_with(&mut self, node: Node, kind: &str, name: &str) {
        self.by_object.insert(ObjectId::new(kind, name), node);
    }
}

/// Decides for every workload object whether it may be applied.
#[must_use]
pub fn gates(platform: &Platform, prepared: &ResourceSet<Prepared>, observed: &Observed) -> Gates {
    let state = States {
        platform,
        prepared,
        observed,
    };
    let mut gates = Gates::default();
    for node in platform.topology.start_order() {
        let Some(object) = state.object(node) else {
            continue;
        };
        let gate = state.gate(node, &object);
        if let Node::Component(component) = node {
            if matches!(platform.scale(component), Scale::Following(_)) {
                // An autoscaler without its Deployment complains.
                gates.hold_with(node, "HorizontalPodAutoscaler", &object.name);
            }
            if state.is_behind(component) {
                // Pods of before may start again, and must find what they were made for.
                gates.hold_with(node, "ConfigMap", &platform.node_name(node));
                gates.hold_with(node, "Secret", &rendered_name(platform, node));
            }
        }
        gates.by_node.insert(node, gate);
        gates.by_object.insert(object, node);
    }
    for (component, _, delegated) in platform.topology.delegated_stores() {
        let node = Node::Component(component);
        let there = delegated.exists(observed);
        if let Some(message) = suspend::obstacle(platform, observed, node, there) {
            gates.by_node.insert(node, Gate::Closed { message });
            gates.hold_with(node, delegated.operator.kind(), &delegated.object);
        }
    }
    gates
}

/// How a node stands to what is planned for it.
enum Stand {
    /// It has no pods: it is not there, or it was stopped.
    Starts,
    /// It runs another image.
    Behind,
    /// It runs.
    Runs,
}

struct States<'a> {
    platform: &'a Platform,
    prepared: &'a ResourceSet<Prepared>,
    observed: &'a Observed,
}

impl States<'_> {
    fn gate(&self, node: Node, object: &ObjectId) -> Gate {
        let message = if self.platform.spec.suspend {
            suspend::obstacle(
                self.platform,
                self.observed,
                node,
                self.is_there(node, object),
            )
        } else {
            let certificate = (node == Node::Component(Component::Traefik))
                .then(|| edge::certificate(self.platform, self.observed))
                .flatten();
            // A proxy that runs goes on with the certificate that it has.
            certificate
                .map(|wait| wait.message)
                .or_else(|| self.unmet(node, object))
        };
        message.map_or(Gate::Open, |message| Gate::Closed { message })
    }

    fn unmet(&self, node: Node, object: &ObjectId) -> Option<String> {
        let stand = self.stand(node, object);
        let needs = self.platform.topology.needs(node).into_iter();
        let missing: Vec<String> = match stand {
            Stand::Runs => return None,
            Stand::Starts => needs.filter_map(|need| self.missing(need)).collect(),
            Stand::Behind => needs.filter_map(|need| self.unsettled(need)).collect(),
        };
        (!missing.is_empty()).then(|| format!("waits for {}", missing.join(", ")))
    }

    fn object(&self, node: Node) -> Option<ObjectId> {
        let (kind, name) = match node {
            Node::Anyone | Node::Operator | Node::Scraper => return None,
            Node::Provision(_) => ("Job", self.prepared.job_name(&node.name())?.to_owned()),
            Node::Component(_) if !self.platform.topology.has(node) => return None,
            Node::Component(component) => (
                workload_kind(self.platform, component).kind(),
                self.platform.component_name(component),
            ),
        };
        Some(ObjectId::new(kind, &name))
    }

    fn is_there(&self, node: Node, object: &ObjectId) -> bool {
        match node {
            Node::Component(component) => self.rollout(component).is_some(),
            _ => self.observed.jobs.contains_key(&object.name),
        }
    }

    fn stand(&self, node: Node, object: &ObjectId) -> Stand {
        let Node::Component(component) = node else {
            return if self.is_there(node, object) {
                Stand::Runs
            } else {
                Stand::Starts
            };
        };
        match self.rollout(component) {
            None => Stand::Starts,
            Some(rollout) if rollout.sleeps() => Stand::Starts,
            Some(rollout) if is_behind(self.platform, &rollout, component) => Stand::Behind,
            Some(_) => Stand::Runs,
        }
    }

    fn rollout(&self, component: Component) -> Option<Rollout<'_>> {
        Rollout::of(self.platform, self.observed, component)
    }

    fn is_behind(&self, component: Component) -> bool {
        self.rollout(component)
            .is_some_and(|rollout| is_behind(self.platform, &rollout, component))
    }

    /// What is said of a node that does not serve as planned; nothing when it does.
    fn missing(&self, node: Node) -> Option<String> {
        self.not_yet(node, |rollout| rollout.serves())
    }

    /// The same of a node that is not wholly as planned.
    fn unsettled(&self, node: Node) -> Option<String> {
        self.not_yet(node, |rollout| rollout.settled())
    }

    fn not_yet(&self, node: Node, enough: impl Fn(&Rollout<'_>) -> bool) -> Option<String> {
        let done = match node {
            Node::Anyone | Node::Operator | Node::Scraper => true,
            Node::Provision(_) => complete_job(self.prepared, self.observed, node).is_some(),
            Node::Component(component) => {
                if let Some(delegated) = self.platform.topology.delegated(component) {
                    let wait = delegated.state(self.observed).wait?;
                    let operator = delegated.operator.name();
                    return Some(format!("{component} ({operator}: {})", wait.message));
                }
                self.rollout(component).is_some_and(|rollout| {
                    enough(&rollout) && !is_behind(self.platform, &rollout, component)
                })
            }
        };
        (!done).then(|| node.name())
    }
}

/// Name of the Job that is planned for a node, once it has done its work.
pub(crate) fn complete_job<'a>(
    prepared: &'a ResourceSet<Prepared>,
    observed: &Observed,
    node: Node,
) -> Option<&'a str> {
    let name = prepared.job_name(&node.name())?;
    job_complete(observed.jobs.get(name)?).then_some(name)
}

/// Whether a Job has done its work.
#[must_use]
pub fn job_complete(job: &Job) -> bool {
    job.status
        .as_ref()
        .and_then(|status| status.succeeded)
        .unwrap_or(0)
        > 0
}

/// Whether at least one pod serves.
#[must_use]
pub fn deployment_serves(deployment: &Deployment) -> bool {
    deployment
        .status
        .as_ref()
        .and_then(|status| status.ready_replicas)
        .unwrap_or(0)
        > 0
}
