//! Gates: a workload object is applied for the first time only when all that it needs is ready.
//!
//! A gate holds nothing back that exists already: a running platform takes every change at once.
//! The one exception is a proxy whose next certificate is not issued yet.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use lotoai_api::Component;

use crate::components::{WorkloadKind, workload_kind};
use crate::edge;
use crate::graph::Node;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{ObjectId, Prepared, ResourceSet};
use crate::scale::Scale;

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
}

/// Decides for every workload object whether it may be applied.
#[must_use]
pub fn gates(platform: &Platform, prepared: &ResourceSet<Prepared>, observed: &Observed) -> Gates {
    let state = States::new(platform, prepared, observed);
    let mut gates = Gates::default();
    for node in platform.topology.start_order() {
        let Some(object) = state.object(node) else {
            continue;
        };
        let missing: Vec<String> = platform
            .topology
            .needs(node)
            .into_iter()
            .filter_map(|need| state.missing(need))
            .collect();
        let certificate = (node == Node::Component(Component::Traefik))
            .then(|| edge::certificate(platform, observed))
            .flatten();
        let gate = if let Some(wait) = certificate {
            // A proxy that runs goes on with the certificate that it has.
            Gate::Closed {
                message: wait.message,
            }
        } else if missing.is_empty() || state.exists(&object) {
            Gate::Open
        } else {
            Gate::Closed {
                message: format!("waits for {}", missing.join(", ")),
            }
        };
        gates.by_node.insert(node, gate);
        if let Node::Component(component) = node
            && matches!(platform.scale(component), Scale::Following(_))
        {
            // An autoscaler without its Deployment complains.
            let autoscaler = ObjectId {
                kind: "HorizontalPodAutoscaler".to_owned(),
                name: object.name.clone(),
            };
            gates.by_object.insert(autoscaler, node);
        }
        gates.by_object.insert(object, node);
    }
    gates
}

struct States<'a> {
    platform: &'a Platform,
    prepared: &'a ResourceSet<Prepared>,
    observed: &'a Observed,
}

impl<'a> States<'a> {
    const fn new(
        platform: &'a Platform,
        prepared: &'a ResourceSet<Prepared>,
        observed: &'a Observed,
    ) -> Self {
        Self {
            platform,
            prepared,
            observed,
        }
    }

    fn object(&self, node: Node) -> Option<ObjectId> {
        let (kind, name) = match node {
            Node::Anyone | Node::Operator => return None,
            Node::Provision(_) => ("Job", self.prepared.job_name(&node.name())?.to_owned()),
            Node::Component(_) if !self.platform.topology.has(node) => return None,
            Node::Component(component) => (
                workload_kind(self.platform, component).kind(),
                self.platform.component_name(component),
            ),
        };
        Some(ObjectId {
            kind: kind.to_owned(),
            name,
        })
    }

    fn exists(&self, object: &ObjectId) -> bool {
        match object.kind.as_str() {
            "StatefulSet" => self.observed.stateful_sets.contains_key(&object.name),
            "Deployment" => self.observed.deployments.contains_key(&object.name),
            _ => self.observed.jobs.contains_key(&object.name),
        }
    }

    /// What is said of a node that is not ready; nothing when it is.
    fn missing(&self, node: Node) -> Option<String> {
        if let Node::Component(component) = node
            && let Some(delegated) = self.platform.topology.delegated(component)
        {
            let wait = delegated.state(self.observed).wait?;
            let operator = delegated.operator.name();
            return Some(format!("{component} ({operator}: {})", wait.message));
        }
        (!self.ready(node)).then(|| node.name())
    }

    fn ready(&self, node: Node) -> bool {
        match node {
            Node::Anyone | Node::Operator => true,
            Node::Provision(_) => self
                .prepared
                .job_name(&node.name())
                .and_then(|name| self.observed.jobs.get(name))
                .is_some_and(job_complete),
            Node::Component(component) => {
                let name = self.platform.component_name(component);
                match workload_kind(self.platform, component) {
                    WorkloadKind::StatefulSet => self
                        .observed
                        .stateful_sets
                        .get(&name)
                        .is_some_and(stateful_set_serves),
                    WorkloadKind::Deployment => self
                        .observed
                        .deployments
                        .get(&name)
                        .is_some_and(deployment_serves),
                }
            }
        }
    }
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
pub fn stateful_set_serves(set: &StatefulSet) -> bool {
    set.status
        .as_ref()
        .and_then(|status| status.ready_replicas)
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
